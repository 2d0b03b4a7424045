/**
 * HAProxy in the three jobs: one thread, no logs, TLS 1.3 with verified certificates on both sides,
 * connections kept and reused everywhere. Nothing is resumed: without tickets alone its session cache would
 * see to that. How many connections it may hold it derives from the file limit.
 */

import { formatAddress } from '../../src/mesh/address.ts';
import type { PeerTls } from './certificates.ts';
import type { Lane, Peer } from './peer.ts';

export interface HaproxyVariant {
  readonly name: 'haproxy' | 'haproxyH2' | 'haproxySplice' | 'haproxy256k';
  /** Between its sidecars; HTTP/1.1 unless said. */
  readonly alpn?: 'h2';
  /** Ask the kernel to move a gateway's bytes without copying them to user space. */
  readonly splice?: true;
  /** 16 KiB unless said. */
  readonly bufferBytes?: number;
}

export function haproxy(program: string, variant: HaproxyVariant): Peer {
  const { name, alpn = 'http/1.1', splice = false, bufferBytes = 16_384 } = variant;
  return {
    name,
    program,
    configName: 'haproxy.cfg',
    args: configFile => ['-db', '-f', configFile],
    outbound: ({ http, tcp, tls }) => `${settings(bufferBytes)}
listen http
  mode http
  http-reuse always
  bind ${formatAddress(http.listen)}
  ${serverOverTls(http, tls)} alpn ${alpn}
listen tcp
  mode tcp
  bind ${formatAddress(tcp.listen)}
  ${serverOverTls(tcp, tls)}
`,
    gateway: ({ listen, lanes }) => `${settings(bufferBytes)}
  mode tcp
  ${splice ? 'option splice-request\n  option splice-response' : ''}
frontend gateway
  bind ${formatAddress(listen)}
  tcp-request inspect-delay 5s
${lanes.map(({ serverName }) => `  tcp-request content accept if { req.ssl_sni -m str ${serverName} }`).join('\n')}
  tcp-request content reject
  use_backend %[req.ssl_sni]
${lanes.map(({ serverName, next }) => `backend ${serverName}\n  server endpoint ${formatAddress(next)}`).join('\n')}
`,
    // The handshake benchmark speaks HTTP/2, so that is always offered too.
    inbound: ({ http, tcp, tls }) => `${settings(bufferBytes)}
listen http
  mode http
  http-reuse always
  ${bindOverTls(http, tls)} alpn h2,http/1.1
  server application ${formatAddress(http.next)}
listen tcp
  mode tcp
  ${bindOverTls(tcp, tls)}
  server application ${formatAddress(tcp.next)}
`,
  };
}

function serverOverTls({ next, serverName }: Lane, tls: PeerTls): string {
  return `server next ${formatAddress(next)} ssl verify required ca-file ${tls.roots} crt ${tls.combined} sni str(${serverName}) verifyhost ${serverName}`;
}

function bindOverTls({ listen }: Lane, tls: PeerTls): string {
  return `bind ${formatAddress(listen)} ssl crt ${tls.combined} ca-file ${tls.roots} verify required`;
}

function settings(bufferBytes: number): string {
  return `global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-server-options ssl-min-ver TLSv1.3
  tune.ssl.cachesize 0
  tune.bufsize ${bufferBytes}
  tune.h2.initial-window-size 1048576
defaults
  timeout connect 5s
  timeout client 120s
  timeout server 120s`;
}

/**
 * HAProxy in the three jobs: one thread, no logs, TLS 1.3 with verified certificates on both sides and no
 * tickets, connections kept and reused everywhere. How many it may hold it derives from the file limit.
 */

import { formatAddress } from '../../src/mesh/address.ts';
import type { Peer } from './peer.ts';

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
    outbound: ({ listen, next, serverName, tls }) => `${settings('http', bufferBytes)}
  http-reuse always
listen out
  bind ${formatAddress(listen)}
  server next ${formatAddress(next)} ssl verify required ca-file ${tls.roots} crt ${tls.combined} sni str(${serverName}) verifyhost ${serverName} alpn ${alpn}
`,
    gateway: ({ listen, serverName, endpoint }) => `${settings('tcp', bufferBytes)}
  ${splice ? 'option splice-request\n  option splice-response' : ''}
frontend gateway
  bind ${formatAddress(listen)}
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_sni -m str ${serverName} }
  tcp-request content reject
  default_backend endpoint
backend endpoint
  server endpoint ${formatAddress(endpoint)}
`,
    // The handshake benchmark speaks HTTP/2, so that is always offered too.
    inbound: ({ listen, application, tls }) => `${settings('http', bufferBytes)}
  http-reuse always
listen in
  bind ${formatAddress(listen)} ssl crt ${tls.combined} ca-file ${tls.roots} verify required alpn h2,http/1.1
  server application ${formatAddress(application)}
`,
  };
}

function settings(mode: 'http' | 'tcp', bufferBytes: number): string {
  return `global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-server-options ssl-min-ver TLSv1.3
  tune.bufsize ${bufferBytes}
  tune.h2.initial-window-size 1048576
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 120s
  timeout server 120s`;
}

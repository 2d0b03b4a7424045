/**
 * A caller the demo holds in its own hands: one mTLS handshake with a chosen certificate and server
 * name, and one CONNECT inside it. Says how far it got; a refusal is a result, not an error.
 */

import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Svid } from '../../trust-federation/identity/svid.ts';
import { anyIdentity } from '../../trust-federation/peers/authorizer.ts';
import { meshClientTls } from '../../trust-federation/peers/tls.ts';

export type ProbeResult =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly how: string };

export interface Probe {
  readonly address: SocketAddress;
  readonly sni: string;
  /** What the caller shows of itself. */
  readonly svid: Svid;
  /** The roots the caller checks the other side against. */
  readonly bundle: TrustBundle;
  /** `:authority` of the CONNECT. */
  readonly authority: string;
}

const PROBE_TIMEOUT_MS = 5_000;

/** Accepted means: the other side verified our certificate and its application took the connection. */
export function probeTunnel(probe: Probe): Promise<ProbeResult> {
  return new Promise(resolve => {
    const socket: TLSSocket = connectTls({
      ...meshClientTls(probe.svid, probe.bundle, anyIdentity, Date.now),
      host: probe.address.host,
      port: probe.address.port,
      servername: probe.sni,
      ALPNProtocols: ['h2'],
    });
    const finish = (result: ProbeResult): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish(refused('no answer')), PROBE_TIMEOUT_MS);
    socket.on('error', error => finish(refused(messageOf(error))));
    socket.once('close', () => finish(refused('connection closed')));
    socket.once('secureConnect', () => {
      const session = connectHttp2(`https://${probe.sni}`, { createConnection: () => socket });
      session.on('error', error => finish(refused(messageOf(error))));
      session.on('goaway', code => finish(refused(`GOAWAY ${code}`)));
      const stream = session.request({ ':method': 'CONNECT', ':authority': probe.authority });
      stream.on('error', error => finish(refused(messageOf(error))));
      stream.on('response', headers => {
        const status = headers[':status'];
        finish(status === 200 ? { kind: 'accepted' } : refused(`status ${status ?? '?'}`));
      });
    });
  });
}

/** Sends a plain HTTP request; resolves with whatever bytes come back before the end. */
export function probePlaintext(address: SocketAddress): Promise<string> {
  return new Promise(resolve => {
    let answer = '';
    const socket = connectTcp(address.port, address.host, () => {
      socket.write('GET / HTTP/1.1\r\nhost: payments.shop.svc.clusterset.local\r\n\r\n');
    });
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}

function refused(how: string): ProbeResult {
  return { kind: 'refused', how };
}

/**
 * A TLS connection to an endpoint's sidecar, directly or through a gateway that only sees the SNI.
 *
 * TLS 1.3, ALPN h2, the roots of the endpoint's own trust domain and no other. Whether the peer is
 * exactly the identity the agent named is for the caller to verify, before it writes a byte.
 */

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { formatAddress } from '../../mesh/address.ts';
import type { Target } from '../../mesh/balancing.ts';
import { isMeshError, MeshError, messageOf } from '../../mesh/errors.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Svid } from '../../trust-federation/identity/svid.ts';
import { unverifiedClientTls } from '../../trust-federation/peers/tls.ts';
import { CONNECT_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS } from '../limits.ts';

/** Rejects with PEER_UNAVAILABLE. */
export function dial(
  { endpoint, address }: Target,
  svid: Svid,
  bundle: TrustBundle,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const where = `sidecar of "${endpoint.workload}" at ${formatAddress(address)}`;
    const tcp = connectTcp({ ...address, noDelay: true });
    let connected = false;
    const fail = (reason: string, cause?: unknown): void => {
      clearTimeout(connectDeadline);
      clearTimeout(handshakeDeadline);
      tcp.destroy();
      reject(
        isMeshError(cause)
          ? cause
          : new MeshError('PEER_UNAVAILABLE', `${where}: ${reason}`, {
              cause,
              // Whose fault it is: of whoever listens at the address, or of what lies behind it.
              details: { phase: connected ? 'handshake' : 'connect' },
            }),
      );
    };
    const connectDeadline = setTimeout(
      () => fail(`no connection within ${CONNECT_TIMEOUT_MS} ms`),
      CONNECT_TIMEOUT_MS,
    );
    const handshakeDeadline = setTimeout(
      () => fail(`no TLS handshake within ${HANDSHAKE_TIMEOUT_MS} ms`),
      HANDSHAKE_TIMEOUT_MS,
    );
    tcp.once('connect', () => {
      connected = true;
      clearTimeout(connectDeadline);
    });
    tcp.once('error', error => fail(error.message, error));
    const tls = connectTls({
      ...unverifiedClientTls(svid, bundle),
      socket: tcp satisfies Socket,
      servername: endpoint.sni,
      ALPNProtocols: ['h2'],
    });
    tls.once('error', error => fail(messageOf(error), error));
    tls.once('secureConnect', () => {
      if (tls.alpnProtocol !== 'h2') {
        fail('it does not speak HTTP/2');
        return;
      }
      clearTimeout(handshakeDeadline);
      resolve(tls);
    });
  });
}

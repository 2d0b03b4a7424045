/** A CONNECT by node:http2 with any SVID: what somebody with a genuine identity may try past his sidecar. */

import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { SocketAddress } from '../../src/mesh/address.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import type { Svid } from '../../src/trust-federation/identity/svid.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { meshClientTls } from '../../src/trust-federation/peers/tls.ts';

export interface StockTunnel {
  readonly via: SocketAddress;
  readonly svid: Svid;
  /** Of the callee's trust domain. */
  readonly roots: TrustBundle;
  readonly serverName: string;
  readonly authority: string;
}

export interface TunnelAnswer {
  readonly status: unknown;
  readonly error: unknown;
  readonly stream: ClientHttp2Stream;
  close(): void;
}

export async function openStockTunnel(tunnel: StockTunnel): Promise<TunnelAnswer> {
  const { via, svid, roots, serverName, authority } = tunnel;
  const tls = meshClientTls(svid, roots, anyIdentity, Date.now);
  const session = connectHttp2('https://x', {
    createConnection: () =>
      connectTls({ ...tls, ...via, servername: serverName, ALPNProtocols: ['h2'] }),
  });
  session.on('error', () => undefined);
  const stream = session.request(
    { ':method': 'CONNECT', ':authority': authority },
    { endStream: false },
  );
  stream.on('error', () => undefined);
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  return {
    status: headers[':status'],
    error: headers['x-isthmus-error'],
    stream,
    close: () => session.destroy(),
  };
}

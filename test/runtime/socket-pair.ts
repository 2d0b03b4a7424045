/** Two ends of a connection on loopback, plain or TLS: what was accepted, and who called. */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { closeServer, listen } from '../../src/runtime/listen.ts';
import { certificatesPem, keyPem } from '../../src/trust-federation/x509/pem.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';

export interface SocketPair {
  readonly accepted: Socket;
  readonly caller: Socket;
  close(): Promise<void>;
}

const ANY_PORT = { host: '127.0.0.1', port: 0 };

export async function socketPair(kind: 'tcp' | 'tls'): Promise<SocketPair> {
  const server = kind === 'tcp' ? createServer({ allowHalfOpen: true }) : createTlsServer(ownTls());
  const { port } = await listen(server, ANY_PORT);
  const arrived = once(server, kind === 'tcp' ? 'connection' : 'secureConnection');
  const caller: Socket =
    kind === 'tcp'
      ? connect({ port, host: ANY_PORT.host, allowHalfOpen: true })
      : connectTls({ port, host: ANY_PORT.host, rejectUnauthorized: false });
  const [accepted] = (await arrived) as [Socket | TLSSocket];
  for (const socket of [accepted, caller]) socket.on('error', () => undefined);
  return {
    accepted,
    caller,
    close: () => {
      for (const socket of [accepted, caller]) socket.destroy();
      return closeServer(server);
    },
  };
}

function ownTls() {
  const svid = testSvid(testAuthority('west.example', Date.now()), 'ns/shop/sa/web', Date.now());
  return { key: keyPem(svid.key), cert: certificatesPem(svid.chain), allowHalfOpen: true };
}

/**
 * What a gateway is loaded with: plain bytes after one real ClientHello, towards an endpoint of our own.
 * A gateway that never decrypts cannot tell them from a TLS connection.
 */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { connect } from 'node:tls';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { listen } from '../../src/runtime/listen.ts';

export interface GatewayLoad {
  readonly kind: 'bulk' | 'idle';
  /** The gateway; the endpoint itself for a run without one. */
  readonly entry: SocketAddress;
  readonly endpoint: SocketAddress;
  readonly serverName: string;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const CHUNK_BYTES = 256 * 1024;

/** Pours bytes without end for `bulk`; for `idle` answers each chunk with one byte. */
export async function openEndpoint({ kind, endpoint }: GatewayLoad): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const answer = Buffer.of(0);
  const server = createServer({ noDelay: true }, socket => {
    socket.on('error', () => undefined); // A caller that has gone; the caller's side counts.
    if (kind === 'idle') {
      socket.on('data', () => socket.write(answer));
      return;
    }
    socket.once('data', () => {
      pour(socket, chunk);
      socket.resume(); // Sees the caller's end.
    });
  });
  await listen(server, endpoint);
}

function pour(socket: Socket, chunk: Buffer): void {
  socket.write(chunk, error => {
    if (error == null && socket.writable) pour(socket, chunk);
  });
}

/** The first flight of a TLS 1.3 client that asks for this server name. */
export async function clientHello(serverName: string): Promise<Buffer> {
  const [wire, peer] = duplexPair();
  const client = connect({ socket: wire, servername: serverName, minVersion: 'TLSv1.3' });
  client.on('error', () => undefined); // Nobody will answer it.
  const [hello] = (await once(peer, 'data')) as [Buffer];
  client.destroy();
  return hello;
}

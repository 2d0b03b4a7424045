/** An HTTP client that does exactly what a test says, over a fresh connection. */

import { Agent, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { connect } from 'node:net';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { received } from './data-plane.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Call extends Pick<RequestOptions, 'method' | 'path' | 'agent'> {
  readonly host: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** Rejects when the connection breaks before the whole answer is there. */
export function call(via: SocketAddress, { host, headers, body, ...rest }: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: via.host,
      port: via.port,
      agent: false,
      ...rest,
      headers: { host, ...headers },
    });
    sent.on('error', reject);
    sent.on('response', answer => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    sent.end(body);
  });
}

export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

/** Sends bytes and collects what comes back until the other side closes. */
export function sendRaw(via: SocketAddress, bytes: string | Buffer): Promise<string> {
  const socket = connect(via);
  socket.write(bytes);
  return received(socket).then(answer => answer.toString('latin1'));
}

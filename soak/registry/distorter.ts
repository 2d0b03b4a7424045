/**
 * A gRPC proxy that lies about streams: it drops, repeats and swaps messages of watch responses, and
 * passes everything else on as it came. Between a registry and etcd it speaks cleartext HTTP/2; between
 * an agent and a registry it stands in the middle of mTLS, with the credentials of both.
 */

import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { closeServer, listen } from '../../src/runtime/listen.ts';
import type { Svid } from '../../src/trust-federation/identity/svid.ts';
import { certificatesPem, keyPem } from '../../src/trust-federation/x509/pem.ts';

/** Shares of a watch's messages, 0 to 1. */
export interface Distortion {
  readonly drop: number;
  readonly repeat: number;
  readonly swap: number;
}

export const FAITHFUL: Distortion = { drop: 0, repeat: 0, swap: 0 };

export interface Distorter {
  readonly address: SocketAddress;
  /** In force for every stream, old and new, at once. */
  distortion: Distortion;
  /** Messages that did not arrive as they were sent. */
  readonly distorted: number;
  close(): Promise<void>;
}

export interface DistorterOptions {
  readonly target: SocketAddress;
  readonly random: () => number;
  /** Whom to pose as: towards the client, and towards the server. Cleartext without. */
  readonly tls?: { readonly server: Svid; readonly client: Svid };
}

const WATCH = /\/Watch$/;
const GRPC_HEADER_BYTES = 5;
const END_STREAM = 1;

export async function startDistorter(options: DistorterOptions): Promise<Distorter> {
  const { target, random, tls } = options;
  let distortion = FAITHFUL;
  let distorted = 0;
  const sessions = new Set<ServerHttp2Session | ClientHttp2Session>();
  const track = (session: ServerHttp2Session | ClientHttp2Session): void => {
    sessions.add(session);
    session.on('error', () => session.destroy());
    session.on('close', () => sessions.delete(session));
  };

  const distort = (messages: readonly Buffer[], held: { message?: Buffer }): Buffer[] =>
    messages.flatMap(message => {
      const dice = random();
      const { drop, repeat, swap } = distortion;
      const before = held.message;
      if (before === undefined && dice < drop + repeat + swap) distorted += 1;
      delete held.message;
      if (before !== undefined) return [message, before];
      if (dice < drop) return [];
      if (dice < drop + repeat) return [message, message];
      if (dice < drop + repeat + swap) {
        held.message = message;
        return [];
      }
      return [message];
    });

  const forward = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    upstream: ClientHttp2Session,
  ): void => {
    const request = upstream.request({ ...headers });
    let trailers: IncomingHttpHeaders = {};
    let pending: Buffer = Buffer.alloc(0);
    const held: { message?: Buffer } = {};
    const isWatch = WATCH.test(headers[':path'] ?? '');
    stream.on('data', (chunk: Buffer) => request.write(chunk));
    stream.on('end', () => request.end());
    stream.on('error', () => request.close());
    stream.on('close', () => request.close());
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    request.on('response', (response, flags) => {
      if (stream.destroyed) return;
      if ((flags & END_STREAM) !== 0) stream.respond(response, { endStream: true });
      else stream.respond(response, { waitForTrailers: true });
    });
    request.on('trailers', (received: IncomingHttpHeaders) => {
      trailers = received;
    });
    request.on('data', (chunk: Buffer) => {
      if (!isWatch) {
        stream.write(chunk);
        return;
      }
      pending = Buffer.concat([pending, chunk]);
      const messages: Buffer[] = [];
      for (;;) {
        if (pending.length < GRPC_HEADER_BYTES) break;
        const end = GRPC_HEADER_BYTES + pending.readUInt32BE(1);
        if (pending.length < end) break;
        messages.push(pending.subarray(0, end));
        pending = pending.subarray(end);
      }
      for (const message of distort(messages, held)) stream.write(message);
    });
    request.on('end', () => stream.end());
    request.on('error', () => stream.destroy());
    request.on('close', () => {
      if (!stream.writableEnded) stream.destroy();
    });
  };

  const server =
    tls === undefined
      ? createServer()
      : createSecureServer({
          ...credentials(tls.server),
          requestCert: true,
          rejectUnauthorized: false,
        });
  server.on('session', (session: ServerHttp2Session) => {
    track(session);
    const authority = `${tls === undefined ? 'http' : 'https'}://${formatAddress(target)}`;
    const upstream = connect(
      authority,
      tls === undefined ? {} : { ...credentials(tls.client), rejectUnauthorized: false },
    );
    track(upstream);
    upstream.on('close', () => session.destroy());
    session.on('close', () => upstream.destroy());
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      forward(stream, headers, upstream),
    );
  });
  server.on('tlsClientError', () => undefined);
  const address = await listen(server, { host: '127.0.0.1', port: 0 });
  return {
    address,
    get distortion() {
      return distortion;
    },
    set distortion(value) {
      distortion = value;
    },
    get distorted() {
      return distorted;
    },
    close: async () => {
      for (const session of sessions) session.destroy();
      await closeServer(server);
    },
  };
}

function credentials(svid: Svid): { readonly key: string; readonly cert: string } {
  return { key: keyPem(svid.key), cert: certificatesPem(svid.chain) };
}

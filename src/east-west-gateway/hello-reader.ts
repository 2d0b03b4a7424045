/**
 * The first bytes of an accepted connection, up to a whole ClientHello. They are kept as they came, to
 * be replayed to the endpoint; nothing is ever written back.
 */

import type { Socket } from 'node:net';
import { type ClientHelloRefusal, readClientHello } from '../wire/client-hello.ts';

export type HelloOutcome =
  | {
      readonly kind: 'found';
      readonly serverName: string | undefined;
      readonly alpn: readonly string[];
      /** The hello and whatever came with it. */
      readonly bytes: Buffer;
    }
  | {
      readonly kind: 'refused';
      readonly reason: ClientHelloRefusal | 'hello-timeout' | 'closed-early';
    };

/** Resolves with the socket paused and no listener of this function left on it. */
export function readHello(socket: Socket, timeoutMs: number): Promise<HelloOutcome> {
  return new Promise(resolve => {
    const chunks: Buffer[] = [];
    let length = 0;
    let bytesNeeded = 0;
    const finish = (outcome: HelloOutcome): void => {
      clearTimeout(deadline);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      socket.pause();
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      // A hello sent byte by byte is joined once, not once per byte.
      if (length < bytesNeeded) return;
      const bytes = Buffer.concat(chunks);
      const hello = readClientHello(bytes);
      if (hello.kind === 'incomplete') bytesNeeded = hello.bytesNeeded;
      else if (hello.kind === 'found') finish({ ...hello, bytes });
      else finish(hello);
    };
    const onEnd = (): void => finish({ kind: 'refused', reason: 'closed-early' });
    const deadline = setTimeout(
      () => finish({ kind: 'refused', reason: 'hello-timeout' }),
      timeoutMs,
    );
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
  });
}

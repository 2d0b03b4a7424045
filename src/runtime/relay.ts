/**
 * Bytes both ways between two streams: sockets, TLS sockets or HTTP/2 streams.
 *
 * A slow reader stops its own writer and nothing else: at most one chunk above the streams' own
 * high-water marks is held. One side's end is passed on while the other keeps flowing (half-close). A
 * side that breaks off is never shown to the other as a clean end, or a cut answer would look whole.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

export type Side = 'a' | 'b';

/** Resolves when both streams are gone: true when each had ended in both directions. */
export async function relay(
  a: Duplex,
  b: Duplex,
  onBytes: (from: Side, bytes: Buffer) => void = () => undefined,
): Promise<boolean> {
  pump(a, b, bytes => onBytes('a', bytes));
  pump(b, a, bytes => onBytes('b', bytes));
  const clean = await Promise.all([closed(a, b), closed(b, a)]);
  return clean.every(Boolean);
}

/** Ends a stream so that its peer sees a failure: RST, or RST_STREAM. */
export function abortStream(stream: Duplex): void {
  if (stream.destroyed) return;
  stream.on('error', () => undefined);
  if (stream instanceof Socket && !(stream instanceof TLSSocket)) stream.resetAndDestroy();
  // With an error: on `close(code)` Node sends END_STREAM first, which the peer takes for a clean end.
  else stream.destroy(new Error('aborted'));
}

function pump(from: Duplex, to: Duplex, onBytes: (bytes: Buffer) => void): void {
  from.on('data', (chunk: Buffer) => {
    onBytes(chunk);
    if (to.writable && !to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  // It may have been paused, and even so have ended, while the other side was being found.
  if (from.readableEnded) to.end();
  else from.on('end', () => to.end());
  from.resume();
}

function closed(stream: Duplex, other: Duplex): Promise<boolean> {
  return new Promise(resolve => {
    const onClose = (): void => {
      const clean = stream.readableEnded && stream.writableFinished;
      if (!clean) abortStream(other);
      resolve(clean);
    };
    // 'close' follows and says what there is to say.
    stream.on('error', () => undefined);
    if (stream.destroyed) onClose();
    else stream.once('close', onClose);
  });
}

/**
 * Bytes both ways between two sockets.
 *
 * A slow reader stops its own writer and nothing else: at most one chunk above the sockets' own
 * high-water marks is held. One side's end is passed on while the other keeps flowing (half-close). A
 * side that breaks off is never shown to the other as a clean end, or a cut answer would look whole.
 */

import type { Socket } from 'node:net';

export type Side = 'a' | 'b';

/** Resolves when both sockets are gone: true when each had ended in both directions. */
export async function relay(
  a: Socket,
  b: Socket,
  onBytes: (from: Side, bytes: Buffer) => void,
): Promise<boolean> {
  pump(a, b, bytes => onBytes('a', bytes));
  pump(b, a, bytes => onBytes('b', bytes));
  const clean = await Promise.all([closed(a, b), closed(b, a)]);
  return clean.every(Boolean);
}

function pump(from: Socket, to: Socket, onBytes: (bytes: Buffer) => void): void {
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

function closed(socket: Socket, other: Socket): Promise<boolean> {
  return new Promise(resolve => {
    const onClose = (): void => {
      const clean = socket.readableEnded && socket.writableFinished;
      if (!clean) other.resetAndDestroy();
      resolve(clean);
    };
    // 'close' follows and says what there is to say.
    socket.on('error', () => undefined);
    if (socket.destroyed) onClose();
    else socket.once('close', onClose);
  });
}

/**
 * Two channels joined: TCP, and HTTP after a switch of protocols.
 *
 * A slow reader stops its own writer and nothing else. One side's end is passed on while the other keeps
 * flowing (half-close); a side that breaks off breaks off for the other, or a cut answer would look whole.
 */

import type { Channel, ChannelOwner } from './channel.ts';

/** `onOver` is called once: when both sides have ended, or one has broken off. Returns how to cut both. */
export function join(a: Channel, b: Channel, onOver: () => void): () => void {
  let ends = 0;
  let over = false;
  const finish = (): void => {
    if (over) return;
    over = true;
    onOver();
  };
  const cut = (): void => {
    a.abort();
    b.abort();
    finish();
  };
  const side = (from: Channel, to: Channel): ChannelOwner => ({
    onData: bytes => {
      if (!to.send('', bytes, 0, bytes.length, '')) from.pause();
    },
    onWritable: () => to.resume(),
    onEnd: () => {
      to.end();
      if (++ends === 2) finish();
    },
    onBroken: cut,
  });
  if (a.closed || b.closed) {
    cut();
  } else {
    a.attach(side(a, b));
    b.attach(side(b, a));
  }
  return cut;
}

/** The end of a channel that nobody uses any more, without a reset unless the peer keeps it open. */

import { END_TIMEOUT_MS } from '../limits.ts';
import type { Channel, ChannelOwner } from './channel.ts';

const NOBODY: ChannelOwner = {
  onData: () => undefined,
  onEnd: () => undefined,
  onWritable: () => undefined,
  onBroken: () => undefined,
};

export function endQuietly(channel: Channel): void {
  if (channel.closed) return;
  channel.attach(NOBODY);
  channel.end();
  setTimeout(() => {
    if (!channel.closed) channel.abort();
  }, END_TIMEOUT_MS).unref();
}

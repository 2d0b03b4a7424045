/** A client that asks ahead, between two channels that are not connected to anything. */

import { expect } from 'chai';
import type { Channel, ChannelOwner } from '../../src/sidecar/bytes/channel.ts';
import { Conversation } from '../../src/sidecar/http/conversation.ts';
import type { NextHop } from '../../src/sidecar/http/next-hop.ts';
import { KEEP_ALIVE_TIMEOUT_MS } from '../../src/sidecar/limits.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na';

class FakeChannel implements Channel {
  owner: ChannelOwner | undefined;
  closed = false;
  ended = false;
  isFull = false;
  attach(owner: ChannelOwner): void {
    this.owner = owner;
  }
  send(): boolean {
    return !this.isFull;
  }
  end(): void {
    this.ended = true;
  }
  abort(): void {
    this.closed = true;
  }
  pause(): void {}
  resume(): void {}
  hear(text: string): void {
    this.owner?.onData(Buffer.from(text, 'latin1'));
  }
}

describe('a client that asks ahead', () => {
  let client: FakeChannel;
  let application: FakeChannel;
  let conversation: Conversation;
  let routed: number;
  let nowMs: number;
  beforeEach(() => {
    client = new FakeChannel();
    application = new FakeChannel();
    routed = 0;
    nowMs = 0;
    conversation = new Conversation({ client, now: () => nowMs, endMeansGone: true });
    const hop: NextHop = {
      route: () => {
        routed++;
        conversation.forward(application, {});
      },
      reroute: () => false,
      onWaiting: () => undefined,
      release: () => undefined,
      onOver: () => undefined,
      onFinished: () => undefined,
      onRefused: () => undefined,
      responseEdits: () => ({}),
    };
    conversation.start(hop);
  });

  it('is served its next request when it has been given its answer', () => {
    client.hear(REQUEST + REQUEST);
    application.hear(ANSWER);
    expect(routed).to.equal(2);
  });

  it('is served no more while it does not read, and goes on when it does', () => {
    client.isFull = true;
    client.hear(REQUEST + REQUEST);
    application.hear(ANSWER);
    expect(routed).to.equal(1);
    client.owner?.onWritable();
    expect(routed).to.equal(2);
  });

  it('is closed when it does not read for too long, and not before', () => {
    client.isFull = true;
    client.hear(REQUEST + REQUEST);
    application.hear(ANSWER);
    nowMs = KEEP_ALIVE_TIMEOUT_MS - 1;
    conversation.sweep(nowMs);
    expect(client.ended).to.equal(false);
    nowMs++;
    conversation.sweep(nowMs);
    expect(client.ended).to.equal(true);
    client.owner?.onWritable();
    expect(routed).to.equal(1);
  });

  it('that ends while it does not read is closed', () => {
    client.isFull = true;
    client.hear(REQUEST);
    application.hear(ANSWER);
    client.owner?.onEnd();
    expect(client.ended).to.equal(true);
  });
});

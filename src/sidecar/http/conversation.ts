/**
 * One HTTP/1.1 connection of a client (a socket of the own application, a stream of another sidecar) and
 * its requests, one after another.
 *
 * Strict: what cannot be read in one way only is answered and the connection closed, since nobody knows
 * where the next message begins. What a client sends ahead waits here unread, with backpressure, so a
 * request is looked at only when the one before it has been answered. After a switch of protocols, and
 * not a byte earlier, the connection is bytes.
 *
 * States: waiting → head → routing → exchange → (unread →) waiting …, or → joined, or → closing → closed.
 */

import { parseRequestHead, type RequestHead } from '../../wire/http1/request-head.ts';
import type { HeadEdits } from '../../wire/http1/write-head.ts';
import { type Channel, type ChannelOwner, NO_BYTES } from '../bytes/channel.ts';
import { join } from '../bytes/join.ts';
import { HEADERS_TIMEOUT_MS, KEEP_ALIVE_TIMEOUT_MS, LINGER_MS } from '../limits.ts';
import { type Answer, describeRefusal, statusOf, writeAnswer } from './answer.ts';
import { Exchange, type ExchangeOwner } from './exchange.ts';
import type { Loss, NextHop } from './next-hop.ts';
import { ReadAhead } from './read-ahead.ts';

type State =
  | 'waiting'
  | 'head'
  | 'routing'
  | 'exchange'
  | 'unread'
  | 'joined'
  | 'closing'
  | 'closed';

/** Nginx's status for a client that went away before its answer. */
const CLIENT_LEFT = 499;

export interface ConversationOptions {
  readonly client: Channel;
  readonly now: () => number;
  /** A client that ends its side has gone away; otherwise it may still wait for its answer. */
  readonly endMeansGone: boolean;
}

export class Conversation implements ChannelOwner, ExchangeOwner {
  readonly #options: ConversationOptions;
  readonly #client: Channel;
  readonly #exchange: Exchange;
  #hop: NextHop | undefined;
  #state: State = 'waiting';
  #head: RequestHead | undefined;
  readonly #ahead: ReadAhead;
  /** Of a head that has begun: as far as it has been looked through. */
  #scanned = 0;
  #startedMs = 0;
  #deadlineMs: number;
  #clientEnded = false;
  #draining = false;
  /** Once joined. */
  #cutBoth: (() => void) | undefined;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#ahead = new ReadAhead(options.client);
    this.#exchange = new Exchange(options.client, this);
    this.#deadlineMs = options.now() + HEADERS_TIMEOUT_MS;
  }

  /** From here on the client is heard. */
  start(hop: NextHop): void {
    this.#hop = hop;
    this.#client.attach(this);
  }

  /** To the hop's next channel, from `route`. False: the client has gone, and the channel is not used. */
  forward(channel: Channel, edits: HeadEdits): boolean {
    const head = this.#head;
    if (this.#state !== 'routing' || head === undefined) return false;
    this.#state = 'exchange';
    this.#exchange.start(head, edits, channel);
    this.#sendRequest(this.#ahead.take());
    return true;
  }

  refuse(answer: Answer): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const head = this.#head;
    this.#hop?.onRefused(answer.code);
    this.#client.send(writeAnswer(answer, head?.method), NO_BYTES, 0, 0, '');
    this.#finished(statusOf(answer.code));
    this.#close(LINGER_MS);
  }

  /** No more requests after the one that is being served. */
  drain(): void {
    this.#draining = true;
    if (this.#state === 'unread' || this.#state === 'waiting' || this.#state === 'head') {
      this.#close(LINGER_MS);
    }
  }

  /** From `onWaiting`: the next hop is given up, and the request is routed again. False: too late. */
  takeBack(): boolean {
    if (this.#state !== 'exchange' || !this.#exchange.canReplay) return false;
    const channel = this.#exchange.abandon();
    this.#state = 'routing';
    if (channel !== undefined) this.#hop?.release(channel, 'broken');
    return true;
  }

  sweep(nowMs: number): void {
    if (this.#state === 'routing') this.#hop?.onWaiting(nowMs, true);
    else if (this.#state === 'exchange' && this.#exchange.status === 0) {
      this.#hop?.onWaiting(nowMs, this.#exchange.requestDone);
    }
    if (nowMs < this.#deadlineMs) return;
    if (this.#state === 'waiting' || this.#state === 'unread') this.#close(LINGER_MS);
    else if (this.#state === 'closing') this.cut();
    else if (this.#state === 'head') {
      this.refuse({ code: 'request-timeout', error: 'request head did not arrive in time' });
    }
  }

  get over(): boolean {
    return this.#client.closed;
  }

  cut(): void {
    this.#cutBoth?.();
    this.#leave();
    this.#client.abort();
  }

  onData(bytes: Buffer): void {
    switch (this.#state) {
      case 'waiting':
      case 'head':
        this.#readHead(bytes);
        break;
      case 'exchange':
        if (this.#exchange.requestDone) this.#ahead.hold(bytes);
        else this.#sendRequest(bytes);
        break;
      case 'routing':
      case 'unread':
        this.#ahead.hold(bytes);
        break;
      default:
        break;
    }
  }

  onEnd(): void {
    this.#clientEnded = true;
    switch (this.#state) {
      case 'waiting':
      case 'head':
        this.#close(LINGER_MS);
        break;
      case 'unread':
        if (this.#options.endMeansGone || this.#ahead.isEmpty) this.#close(LINGER_MS);
        break;
      case 'routing':
      case 'exchange':
        if (this.#options.endMeansGone || !this.#exchange.requestDone) this.cut();
        break;
      default:
        break;
    }
  }

  onWritable(): void {
    if (this.#state === 'unread') {
      this.#deadlineMs = this.#options.now() + KEEP_ALIVE_TIMEOUT_MS;
      this.#goOn();
    } else this.#exchange.onClientWritable();
  }

  onBroken(): void {
    this.#leave();
  }

  keepsClient(): boolean {
    const head = this.#head;
    // What follows an offer to switch may be meant for the protocol that was declined.
    const mayGoOn = head?.keepAlive === true && head.upgrade === undefined;
    const hasMore = !this.#clientEnded || !this.#ahead.isEmpty;
    return mayGoOn && hasMore && !this.#draining;
  }

  responseEdits(): HeadEdits {
    return this.#hop?.responseEdits() ?? {};
  }

  onRequestWanted(): void {
    if (this.#ahead.isEmpty) this.#client.resume();
  }

  onResponse(): void {
    const whole = this.#exchange.requestDone;
    const keeps = this.keepsClient() && this.#exchange.clientIsKept;
    const full = this.#exchange.responseFull;
    this.#finished(this.#exchange.status);
    if (!whole) this.#close(LINGER_MS);
    else if (!keeps) this.#close(KEEP_ALIVE_TIMEOUT_MS);
    else if (full) {
      // Its next answer would have to be held as well, and the one after that.
      this.#state = 'unread';
      this.#client.pause();
    } else this.#goOn();
  }

  onSwitched(early: Buffer): void {
    const channel = this.#exchange.detach();
    if (channel === undefined) return;
    this.#state = 'joined';
    if (early.length > 0) this.#client.send('', early, 0, early.length, '');
    const ahead = this.#ahead.take();
    if (ahead !== undefined) channel.send('', ahead, 0, ahead.length, '');
    this.#cutBoth = join(this.#client, channel, () => {
      this.#finished(101);
      this.#state = 'closed';
    });
  }

  onFailed(error: string, loss: Loss): void {
    if (this.#exchange.status !== 0) {
      this.cut();
      return;
    }
    this.#state = 'routing';
    if (this.#hop?.reroute(loss) === true) return;
    this.#state = 'exchange';
    this.refuse({ code: 'upstream-failed', error });
  }

  /** With the next request. */
  #goOn(): void {
    this.#state = 'waiting';
    const ahead = this.#ahead.take();
    if (ahead === undefined) this.#client.resume();
    else this.#readHead(ahead);
  }

  #readHead(bytes: Buffer): void {
    const input = this.#ahead.joined(bytes);
    const parsed = parseRequestHead(input, 0, input.length, this.#scanned);
    switch (parsed.kind) {
      case 'incomplete':
        if (this.#state === 'waiting') this.#deadlineMs = this.#options.now() + HEADERS_TIMEOUT_MS;
        this.#state = 'head';
        this.#ahead.begin(input);
        this.#scanned = parsed.scanned;
        break;
      case 'refused':
        this.refuse(describeRefusal(parsed.reason));
        break;
      case 'head':
        this.#scanned = 0;
        this.#head = parsed.head;
        this.#startedMs = this.#options.now();
        this.#state = 'routing';
        if (parsed.next < input.length) this.#ahead.hold(input.subarray(parsed.next));
        this.#hop?.route(parsed.head, this.#startedMs);
        break;
    }
  }

  #sendRequest(bytes: Buffer | undefined): void {
    const input = bytes ?? NO_BYTES;
    const progress = this.#exchange.sendRequest(input, 0);
    if (progress === 'refused') {
      if (this.#exchange.status !== 0) this.cut();
      else
        this.refuse({ code: 'bad-request', error: 'request body cannot be read in one way only' });
      return;
    }
    if (progress !== 'more' && progress < input.length) this.#ahead.hold(input.subarray(progress));
    if (this.#exchange.requestFull) this.#client.pause();
  }

  /** Of the exchange, not of the connection. */
  #finished(status: number): void {
    const head = this.#head;
    const state = this.#exchange.nextHopState;
    const channel = this.#exchange.detach();
    this.#head = undefined;
    const nowMs = this.#options.now();
    this.#deadlineMs = nowMs + KEEP_ALIVE_TIMEOUT_MS;
    if (channel !== undefined) this.#hop?.release(channel, state);
    if (head !== undefined) this.#hop?.onFinished(head, status, nowMs - this.#startedMs);
  }

  /** What the client still sends is read and dropped, or its answer might be lost with a reset. */
  #close(lingerMs: number): void {
    this.#state = 'closing';
    this.#deadlineMs = this.#options.now() + lingerMs;
    this.#ahead.drop();
    this.#client.end();
    this.#client.resume();
    this.#hop?.onOver();
  }

  #leave(): void {
    const state = this.#state;
    if (state === 'closed') return;
    this.#state = 'closed';
    this.#ahead.drop();
    const { status } = this.#exchange;
    if (state === 'exchange') this.#finished(status === 0 ? CLIENT_LEFT : status);
    this.#hop?.onOver();
  }
}

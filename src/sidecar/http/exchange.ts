/**
 * One request and its response between a client and the next hop, both channels.
 *
 * Heads are written from the validated model; bodies are streamed with backpressure both ways. A response
 * that breaks off breaks off for the client too. As long as the client has nothing of an answer, what was
 * sent of the request is kept, within a bound, in case it has to be sent elsewhere. One object serves the
 * requests of a connection one after another.
 */

import { CHUNKED, type Framing, UNTIL_CLOSE } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { parseResponseHead, type ResponseHead } from '../../wire/http1/response-head.ts';
import {
  type HeadEdits,
  writeRequestHead,
  writeResponseHead,
} from '../../wire/http1/write-head.ts';
import { type Channel, type ChannelOwner, NO_BYTES } from '../bytes/channel.ts';
import { INTERIM_RESPONSES_MAX } from '../limits.ts';
import { type BodyProgress, BodyRelay } from './body-relay.ts';
import type { Loss, NextHopState } from './next-hop.ts';
import { Replay } from './replay.ts';

export interface ExchangeOwner {
  /** A response head is about to be written: last word on whether the client's connection goes on. */
  keepsClient(): boolean;
  responseEdits(): HeadEdits;
  /** There is room for more of the request. */
  onRequestWanted(): void;
  /** The whole response has been sent. */
  onResponse(): void;
  /** The next hop speaks another protocol from here on; `early` is the first of it. */
  onSwitched(early: Buffer): void;
  /** There will be no (whole) response. */
  onFailed(error: string, loss: Loss): void;
}

export class Exchange implements ChannelOwner {
  readonly #client: Channel;
  readonly #owner: ExchangeOwner;
  readonly #request = new BodyRelay();
  readonly #response = new BodyRelay();
  readonly #replay = new Replay();
  #nextHop: Channel | undefined;
  #head: RequestHead | undefined;
  #held: Buffer | undefined;
  #scanned = 0;
  #interim = 0;
  #status = 0;
  #clientIsKept = false;
  #isKept = false;

  constructor(client: Channel, owner: ExchangeOwner) {
    this.#client = client;
    this.#owner = owner;
  }

  /** 0 until the response's head has come. */
  get status(): number {
    return this.#status;
  }

  get requestDone(): boolean {
    return this.#request.done;
  }

  /** The request filled the next hop. */
  get requestFull(): boolean {
    return this.#request.full;
  }

  /** The response filled the client. */
  get responseFull(): boolean {
    return this.#response.full;
  }

  get canReplay(): boolean {
    return this.#replay.sent !== undefined && this.#status === 0;
  }

  /** The client was not told that its connection ends with this response. */
  get clientIsKept(): boolean {
    return this.#clientIsKept;
  }

  /** What there is left to do with the next hop. */
  get nextHopState(): NextHopState {
    if (this.#status === 0 || !this.#request.done || !this.#response.done) return 'broken';
    return this.#isKept ? 'reusable' : 'finished';
  }

  /** Again for another next hop, after the first gave it back: then with what the first had been sent. */
  start(head: RequestHead, edits: HeadEdits, nextHop: Channel): void {
    const replay = this.#head === head ? this.#replay.sent : undefined;
    this.#head = head;
    this.#nextHop = nextHop;
    this.#held = undefined;
    this.#scanned = 0;
    this.#interim = 0;
    this.#status = 0;
    this.#isKept = false;
    this.#request.begin(
      writeRequestHead(head, edits),
      head.framing,
      head.framing.kind === 'chunked',
    );
    nextHop.attach(this);
    if (replay === undefined) this.#replay.begin();
    else for (const bytes of replay) this.#request.relay(bytes, 0, nextHop);
  }

  /** Of the request's body, from `start` on. */
  sendRequest(bytes: Buffer, start: number): BodyProgress {
    const nextHop = this.#nextHop;
    if (nextHop === undefined || this.#request.done) return start;
    const progress = this.#request.relay(bytes, start, nextHop);
    if (start < bytes.length) {
      this.#replay.add(bytes.subarray(start, typeof progress === 'number' ? progress : undefined));
    }
    return progress;
  }

  onClientWritable(): void {
    this.#nextHop?.resume();
  }

  /** The next hop, given up; the request stays, to be started again with another one. */
  abandon(): Channel | undefined {
    const nextHop = this.#nextHop;
    this.#nextHop = undefined;
    return nextHop;
  }

  /** The next hop, taken out of the exchange. */
  detach(): Channel | undefined {
    const nextHop = this.#nextHop;
    this.#nextHop = undefined;
    this.#head = undefined;
    this.#replay.forget();
    this.#held = undefined;
    return nextHop;
  }

  onData(bytes: Buffer): void {
    if (this.#status !== 0) this.#relayResponse(bytes, 0);
    else this.#readHead(this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]));
  }

  onWritable(): void {
    this.#owner.onRequestWanted();
  }

  onEnd(): void {
    this.#isKept = false;
    if (this.#status === 0) this.#fail('the connection closed before an answer');
    else if (!this.#response.endOfInput(this.#client)) this.#fail('the answer broke off');
    else this.#owner.onResponse();
  }

  onBroken(untouched: boolean): void {
    this.#isKept = false;
    const error =
      this.#status === 0 ? 'the connection failed before an answer' : 'the answer broke off';
    this.#owner.onFailed(error, this.#lossOf(untouched));
  }

  #fail(error: string): void {
    this.#owner.onFailed(error, this.#lossOf(false));
  }

  #lossOf(untouched: boolean): Loss {
    if (!this.canReplay) return 'begun';
    return untouched && this.#held === undefined ? 'untouched' : 'unanswered';
  }

  #readHead(input: Buffer): void {
    const asked = this.#head;
    if (asked === undefined) return;
    let at = 0;
    for (;;) {
      const parsed = parseResponseHead(input, at, input.length, asked, this.#scanned);
      switch (parsed.kind) {
        case 'incomplete':
          this.#held = Buffer.from(input.subarray(at));
          this.#scanned = parsed.scanned - at;
          return;
        case 'refused':
          this.#replay.forget();
          this.#fail(`the answer is not HTTP/1.1: ${parsed.reason}`);
          return;
        case 'head':
          // From here on the client has something of an answer.
          this.#replay.forget();
          this.#scanned = 0;
          at = parsed.next;
          if (parsed.head.status >= 200 || parsed.head.status === 101) {
            this.#held = undefined;
            this.#begin(parsed.head, asked, input, at);
            return;
          }
          if (++this.#interim > INTERIM_RESPONSES_MAX) {
            this.#fail(`more than ${INTERIM_RESPONSES_MAX} interim answers`);
            return;
          }
          // RFC 9110 §15.2: an HTTP/1.0 client knows no interim answers.
          if (asked.minorVersion === 1) {
            const text = writeResponseHead(parsed.head, this.#owner.responseEdits());
            this.#client.send(text, NO_BYTES, 0, 0, '');
          }
      }
    }
  }

  #begin(head: ResponseHead, asked: RequestHead, input: Buffer, at: number): void {
    this.#status = head.status;
    const framing = framingFor(asked, head);
    const keeps = this.#owner.keepsClient() && framing.kind !== 'until-close';
    this.#clientIsKept = keeps;
    const { drop, add } = this.#owner.responseEdits();
    const connection = connectionEdit(asked, keeps);
    const text = writeResponseHead(head, { drop, add, framing, connection });
    if (head.upgrade !== undefined) {
      this.#client.send(text, NO_BYTES, 0, 0, '');
      this.#owner.onSwitched(input.subarray(at));
      return;
    }
    this.#isKept = head.keepAlive;
    this.#response.begin(text, head.framing, framing.kind === 'chunked');
    this.#relayResponse(input, at);
  }

  #relayResponse(bytes: Buffer, start: number): void {
    const progress = this.#response.relay(bytes, start, this.#client);
    if (progress === 'refused') {
      this.#fail('the body of the answer is malformed');
      return;
    }
    if (progress === 'more') {
      if (this.#response.full) this.#nextHop?.pause();
      return;
    }
    // Taken for the next answer it would reach another caller.
    if (progress < bytes.length) this.#isKept = false;
    this.#owner.onResponse();
  }
}

/** What the client can read: an HTTP/1.0 one knows no chunks, a later one needs no close. */
function framingFor({ minorVersion }: RequestHead, { framing }: ResponseHead): Framing {
  if (minorVersion === 0) return framing.kind === 'chunked' ? UNTIL_CLOSE : framing;
  return framing.kind === 'until-close' ? CHUNKED : framing;
}

function connectionEdit(asked: RequestHead, keeps: boolean): HeadEdits['connection'] {
  if (!keeps) return 'close';
  return asked.minorVersion === 0 ? 'keep-alive' : undefined;
}

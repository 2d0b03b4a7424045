/**
 * HTTP/1.1 inside a CONNECT stream: each request checked like the application's own, with the caller's
 * verified identity in `x-forwarded-client-cert` (Envoy's format), on a connection to the application that
 * is kept from one request to the next.
 *
 * A request for which no connection can be had goes back to the caller untouched (REFUSED_STREAM), so that
 * it may be tried elsewhere; never one of which the application has a byte.
 */

import type { SocketAddress } from '../../mesh/address.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { HeadEdits } from '../../wire/http1/write-head.ts';
import { H2 } from '../../wire/http2/error-codes.ts';
import type { Channel, ChannelOwner } from '../bytes/channel.ts';
import { endQuietly } from '../bytes/end-quietly.ts';
import type { SocketChannel } from '../bytes/socket-channel.ts';
import type { StreamChannel } from '../bytes/stream-channel.ts';
import { type AnswerCode, forbidden } from '../http/answer.ts';
import type { Conversation } from '../http/conversation.ts';
import { MESH_FIELDS } from '../http/mesh-fields.ts';
import type { Loss, NextHop, NextHopState } from '../http/next-hop.ts';
import { APPLICATION_REUSE_MS } from '../limits.ts';
import { connectApplication } from './application.ts';
import type { Denial } from './authorization.ts';
import type { Meter } from './in-flight.ts';

export interface ApplicationHopOptions {
  readonly conversation: Conversation;
  readonly stream: StreamChannel;
  readonly address: SocketAddress;
  /** Says who the caller is. */
  readonly requestEdits: HeadEdits;
  readonly inFlight: Meter;
  /** Why the caller may not be served now; asked for each request. */
  readonly denial: () => Denial | undefined;
  readonly now: () => number;
  readonly onFinished: (head: RequestHead, status: number, durationMs: number) => void;
  readonly onRefused: (
    reason: Exclude<AnswerCode, 'forbidden'> | Denial | 'application-unreachable',
  ) => void;
}

const RESPONSE_EDITS: HeadEdits = { drop: MESH_FIELDS };

export class ApplicationHop implements NextHop, ChannelOwner {
  readonly #options: ApplicationHopOptions;
  /** Between two requests. */
  #kept: Channel | undefined;
  #keptSinceMs: number;
  #over = false;
  #isInFlight = false;

  constructor(options: ApplicationHopOptions, application: SocketChannel) {
    this.#options = options;
    this.#keptSinceMs = options.now();
    this.#keep(application);
  }

  route(head: RequestHead, nowMs: number): void {
    const denial = this.#options.denial();
    if (denial !== undefined) {
      this.#options.onRefused(denial);
      this.#options.conversation.refuse(forbidden(head.host));
      return;
    }
    this.#isInFlight = true;
    this.#options.inFlight.enter(nowMs);
    const { conversation, address, requestEdits } = this.#options;
    const kept = this.#takeKept();
    if (kept !== undefined) {
      conversation.forward(kept, requestEdits);
      return;
    }
    const onOutcome = (application: SocketChannel | undefined): void => {
      if (this.#over) application?.abort();
      else if (application !== undefined) conversation.forward(application, requestEdits);
      else {
        this.#options.onRefused('application-unreachable');
        this.#options.stream.reset(H2.REFUSED_STREAM);
        conversation.cut();
      }
    };
    connectApplication(address, onOutcome, () => conversation.cut());
  }

  /** The caller may repeat what is idempotent: a reset is told apart from an application's own 502. */
  reroute(loss: Loss): boolean {
    if (loss === 'unanswered') this.#options.stream.reset(H2.CONNECT_ERROR);
    return false;
  }

  /** The caller keeps the time, and resets the stream when it is over. */
  onWaiting(): void {}

  release(application: Channel, state: NextHopState): void {
    if (state === 'reusable' && !this.#over && !application.closed) {
      this.#keptSinceMs = this.#options.now();
      this.#keep(application);
    } else if (state === 'broken') application.abort();
    else endQuietly(application);
  }

  onOver(): void {
    this.#over = true;
    this.#leave();
    this.#drop();
  }

  onFinished(head: RequestHead, status: number, durationMs: number): void {
    this.#leave();
    this.#options.onFinished(head, status, durationMs);
  }

  onRefused(code: AnswerCode): void {
    // That one has been told with its reason.
    if (code !== 'forbidden') this.#options.onRefused(code);
  }

  responseEdits(): HeadEdits {
    return RESPONSE_EDITS;
  }

  // Of the connection that is kept: whatever comes of it was not asked for.
  onData(): void {
    this.#kept?.abort();
    this.#kept = undefined;
  }

  onEnd(): void {
    this.#drop();
  }

  onWritable(): void {}

  onBroken(): void {
    this.#kept = undefined;
  }

  #leave(): void {
    if (!this.#isInFlight) return;
    this.#isInFlight = false;
    this.#options.inFlight.leave(this.#options.now());
  }

  #keep(application: Channel): void {
    this.#kept = application;
    application.attach(this);
  }

  #drop(): void {
    if (this.#kept !== undefined) endQuietly(this.#kept);
    this.#kept = undefined;
  }

  /** One that has long been idle may be about to be closed by the application, with a request on its way. */
  #takeKept(): Channel | undefined {
    if (this.#options.now() - this.#keptSinceMs > APPLICATION_REUSE_MS) this.#drop();
    const kept = this.#kept;
    this.#kept = undefined;
    return kept?.closed === true ? undefined : kept;
  }
}

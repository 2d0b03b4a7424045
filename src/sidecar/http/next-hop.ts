/**
 * Where a conversation's requests go: the mesh, on the calling side; the application, on the called one.
 * It finds a channel for each request, is given the channel back, and hears how the request ended.
 */

import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { HeadEdits } from '../../wire/http1/write-head.ts';
import type { Channel } from '../bytes/channel.ts';
import type { AnswerCode } from './answer.ts';

/** Where the requests of one conversation go, and who is told of them. */
export interface NextHop {
  /** Calls the conversation's `forward` or `refuse`, at once or later. */
  route(head: RequestHead, nowMs: number): void;
  /** The next hop is gone, without a final answer. True: the request is being routed again. */
  reroute(loss: Loss): boolean;
  /** Every now and then while no answer has come; `sent`: as far as the client has sent it. */
  onWaiting(nowMs: number, sent: boolean): void;
  /** The exchange is over; `channel` is what was given to `forward`. */
  release(channel: Channel, state: NextHopState): void;
  /** There will be no more requests; one that is being routed is not wanted any more. */
  onOver(): void;
  /** The request was answered, by the next hop or by us. */
  onFinished(head: RequestHead, status: number, durationMs: number): void;
  onRefused(code: AnswerCode): void;
  responseEdits(): HeadEdits;
}

/** What is known of a request whose next hop is gone. */
export type Loss =
  /** The next hop has given it back. */
  | 'untouched'
  /** It may have been carried out; nothing came back, and all of it that was sent is still here. */
  | 'unanswered'
  /** An answer had begun, or the request cannot be sent again. */
  | 'begun';

export type NextHopState =
  /** At the end of a response, and it means to take another request. */
  | 'reusable'
  | 'finished'
  /** In the middle of a message. */
  | 'broken';

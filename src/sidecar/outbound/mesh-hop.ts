/**
 * Where a request of the own application goes: by its host to an upstream, and to one of its endpoints; to
 * another one when the first gives it back, or, if it may be repeated, when no answer comes in time.
 */

import type { Collection } from '../../mesh/collection.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';
import { afterFault } from '../../runtime/faults.ts';
import { fieldsOf } from '../../wire/http1/fields.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { HeadEdits } from '../../wire/http1/write-head.ts';
import type { Channel } from '../bytes/channel.ts';
import { endQuietly } from '../bytes/end-quietly.ts';
import type { AnswerCode } from '../http/answer.ts';
import type { Conversation } from '../http/conversation.ts';
import type { Loss, NextHop, NextHopState } from '../http/next-hop.ts';
import { HUNG_MS } from '../limits.ts';
import { explain, type Lost, noRoute, notReached, tooLate } from './answers.ts';
import { type Caller, describeFailure, type ReachedApplication } from './caller.ts';
import { askedTimeoutMs, deadlineEdits } from './deadline.ts';
import type { Way } from './members.ts';
import { judgeRepeat, type Repeat } from './repeats.ts';
import type { Rotation } from './rotation.ts';
import type { Rotations } from './rotations.ts';

/** One request as metrics and the access log see it. */
export interface OutboundCall {
  readonly head: RequestHead;
  readonly upstream: Upstream | undefined;
  readonly reached: ReachedApplication | undefined;
  readonly status: number;
  readonly durationMs: number;
}

export interface MeshHopOptions {
  readonly hosts: Pick<Collection<string, UpstreamName>, 'get'>;
  readonly rotations: Rotations;
  readonly caller: Caller;
  readonly now: () => number;
  /** Of a request that reached an application and got no answer. */
  readonly onUnanswered: (repeat: Repeat) => void;
  readonly onRefused: (code: AnswerCode) => void;
  readonly onCall: (call: OutboundCall) => void;
}

const RESPONSE_EDITS: HeadEdits = {};
/** Nginx's, as the conversation gives it. */
const CLIENT_LEFT = 499;

export class MeshHop implements NextHop {
  readonly #options: MeshHopOptions;
  readonly #conversation: Conversation;
  #rotation: Rotation | undefined;
  #head: RequestHead | undefined;
  #reached: ReachedApplication | undefined;
  #isInFlight = false;
  #breaksBefore = 0;
  /** The answer, if there is one, is ours. */
  #isRefused = false;
  /** Of the request at hand: where it was before, while another endpoint is looked for. */
  #lost: readonly Lost[] = [];
  #looking: AbortController | undefined;
  #isExplained = false;
  #askedMs: number | undefined;
  #deadlineMs = 0;
  #tryDeadlineMs = 0;
  /** For the endpoint that has the request, past the time of its try. */
  #isWaitingOn = false;
  /** It was counted against the endpoint that it does not answer. */
  #isJudged = false;

  constructor(options: MeshHopOptions, conversation: Conversation) {
    this.#options = options;
    this.#conversation = conversation;
  }

  route(head: RequestHead, nowMs: number): void {
    const { hosts, rotations, caller } = this.#options;
    // The agent's table has `host:port`, and the bare host for port 80.
    const name = hosts.get(head.host);
    const rotation = name === undefined ? undefined : rotations.of(name);
    this.#rotation = rotation;
    this.#head = head;
    this.#reached = undefined;
    this.#isRefused = false;
    if (this.#lost.length > 0) this.#lost = [];
    if (rotation === undefined) {
      this.#conversation.refuse(noRoute(head));
      return;
    }
    this.#isExplained = head.fields.first('x-isthmus-explain') === '1';
    this.#askedMs = askedTimeoutMs(head.fields);
    this.#deadlineMs = nowMs + (this.#askedMs ?? rotation.upstream.policy.timeoutMs);
    const reached = caller.reachAtOnce(rotation);
    if (reached !== undefined) this.#forward(reached, rotation, nowMs);
    else this.#lookFor(rotation);
  }

  reroute(loss: Loss): boolean {
    const { caller, now } = this.#options;
    const reached = this.#reached;
    const rotation = this.#rotation;
    if (reached === undefined || rotation === undefined) return false;
    if (loss === 'untouched') {
      this.#settle(reached);
      const failure = caller.gaveBack(rotation, reached.way);
      this.#goOn({ way: reached.way, failure, isUntouched: true }, rotation);
      return true;
    }
    rotation.brokeOff(reached.way, this.#breaksBefore);
    const { isLost } = reached.stream.session;
    if (loss === 'begun' || !this.#mayRepeat(rotation, reached, now(), isLost)) return false;
    this.#settle(reached);
    const reason = isLost ? 'the connection was lost' : 'no answer';
    const failure = describeFailure(reached.way, reason);
    const lost = { way: reached.way, failure, isUntouched: false };
    this.#goOn(lost, rotation, isLost ? reached.way : undefined);
    return true;
  }

  onWaiting(nowMs: number, sent: boolean): void {
    const rotation = this.#rotation;
    const reached = this.#reached;
    if (rotation === undefined) return;
    // The time counts from when the request has been sent.
    if (!sent) this.#restart(rotation, nowMs);
    if (nowMs >= this.#deadlineMs) this.#giveUp(rotation, reached);
    else if (reached !== undefined && nowMs >= this.#tryDeadlineMs) {
      this.#tryElsewhere(rotation, reached, nowMs);
    }
  }

  release(channel: Channel, state: NextHopState): void {
    const stream = this.#reached?.stream;
    if (this.#reached !== undefined) this.#settle(this.#reached);
    if (state === 'broken') channel.abort();
    else if (state === 'finished' || stream === undefined) endQuietly(channel);
    else stream.session.giveBack(stream);
  }

  onOver(): void {
    this.#looking?.abort();
  }

  onFinished(head: RequestHead, status: number, durationMs: number): void {
    const rotation = this.#rotation;
    const reached = this.#reached;
    if (reached !== undefined && rotation !== undefined) {
      this.#settle(reached);
      if (!this.#isRefused && status !== CLIENT_LEFT) {
        const event = status >= 500 ? 'bad' : 'good';
        rotation.answered(reached.way, event);
      }
    }
    this.#options.onCall({ head, upstream: rotation?.upstream, reached, status, durationMs });
  }

  onRefused(code: AnswerCode): void {
    this.#isRefused = true;
    this.#options.onRefused(code);
  }

  responseEdits(): HeadEdits {
    return this.#isExplained && this.#reached !== undefined
      ? { add: [fieldsOf(['x-isthmus-upstream', explain(this.#reached)])] }
      : RESPONSE_EDITS;
  }

  #forward(reached: ReachedApplication, { upstream }: Rotation, nowMs: number): void {
    const { stream } = reached;
    this.#reached = reached;
    this.#breaksBefore = reached.way.member.breaks;
    this.#isInFlight = true;
    this.#isWaitingOn = false;
    this.#isJudged = false;
    this.#tryDeadlineMs = nowMs + upstream.policy.tryTimeoutMs;
    const leftMs = this.#askedMs === undefined ? undefined : this.#deadlineMs - nowMs;
    if (this.#conversation.forward(stream.channel, deadlineEdits(leftMs))) return;
    this.#settle(reached);
    stream.session.giveBack(stream);
  }

  #settle(reached: ReachedApplication): void {
    if (!this.#isInFlight) return;
    this.#isInFlight = false;
    this.#options.caller.done(reached);
  }

  /** Who cannot be asked elsewhere goes on waiting, and the endpoint is judged when it has hung. */
  #tryElsewhere(rotation: Rotation, reached: ReachedApplication, nowMs: number): void {
    const { way } = reached;
    const { tryTimeoutMs } = rotation.upstream.policy;
    if (this.#isWaitingOn) {
      this.#tryDeadlineMs = Number.POSITIVE_INFINITY;
      this.#isJudged = true;
      rotation.answered(way, 'broken-off');
    } else if (this.#mayRepeat(rotation, reached, nowMs, false) && this.#conversation.takeBack()) {
      rotation.answered(way, 'broken-off');
      const failure = describeFailure(way, `no answer within ${tryTimeoutMs} ms`);
      this.#goOn({ way, failure, isUntouched: false }, rotation);
    } else {
      this.#isWaitingOn = true;
      this.#tryDeadlineMs += Math.max(0, HUNG_MS - tryTimeoutMs);
    }
  }

  #restart({ upstream: { policy } }: Rotation, nowMs: number): void {
    this.#deadlineMs = nowMs + (this.#askedMs ?? policy.timeoutMs);
    this.#tryDeadlineMs = nowMs + policy.tryTimeoutMs;
  }

  #mayRepeat(
    rotation: Rotation,
    { way }: ReachedApplication,
    nowMs: number,
    isConnectionLost: boolean,
  ): boolean {
    if (this.#head === undefined) return false;
    const tried = [...this.#lost.map(lost => lost.way), way];
    const leftMs = this.#deadlineMs - nowMs;
    const repeat = judgeRepeat(this.#head, rotation, { tried, isConnectionLost, leftMs }, nowMs);
    this.#options.onUnanswered(repeat);
    return repeat === 'allowed';
  }

  /** `again`: a way that may be taken once more when there is no other. */
  #goOn(lost: Lost, rotation: Rotation, again?: Way): void {
    this.#lost = [...this.#lost, lost];
    this.#reached = undefined;
    this.#lookFor(rotation, again);
  }

  #giveUp(rotation: Rotation, reached: ReachedApplication | undefined): void {
    if (reached !== undefined && !this.#isJudged) rotation.answered(reached.way, 'broken-off');
    const timeoutMs = this.#askedMs ?? rotation.upstream.policy.timeoutMs;
    this.#conversation.refuse(
      tooLate(rotation.authority, timeoutMs, this.#lost, reached !== undefined),
    );
  }

  #lookFor(rotation: Rotation, again?: Way): void {
    this.#look(rotation, again).catch((error: unknown) =>
      afterFault(error, () => this.#conversation.cut()),
    );
  }

  async #look(rotation: Rotation, again: Way | undefined): Promise<void> {
    const looking = new AbortController();
    this.#looking = looking;
    const tried = this.#lost.map(({ way }) => way);
    const outcome = await this.#options.caller.reach(rotation, looking.signal, tried, again);
    this.#looking = undefined;
    if (outcome.kind === 'reached') this.#forward(outcome, rotation, this.#options.now());
    else if (outcome.kind !== 'aborted')
      this.#conversation.refuse(notReached(outcome, rotation.authority, this.#lost));
  }
}

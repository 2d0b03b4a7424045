/**
 * Whose turn it is among the endpoints of one upstream, and what is learned of them by calling.
 *
 * The spread is worked out when something changes (the agent's word, an endpoint that goes out or comes
 * back, a step of a slow start) and not for a call: a call takes its turn. The rules are in mesh/: spread,
 * weighted-turns, least-request, outlier-detection, balancing.
 */

import { chooseOther } from '../../mesh/balancing.ts';
import { LeastRequest } from '../../mesh/least-request.ts';
import {
  type AnswerEvent,
  mayEject,
  nextAnswers,
  nextReachability,
  SLOW_START_MS,
} from '../../mesh/outlier-detection.ts';
import { RetryBudget } from '../../mesh/retry-budget.ts';
import type { EndpointHash } from '../../mesh/service.ts';
import { type Spread, type Standing, spreadOver } from '../../mesh/spread.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';
import { WeightedTurns } from '../../mesh/weighted-turns.ts';
import type { Gateways } from './gateways.ts';
import {
  backSince,
  canBeReached,
  describeWay,
  isOpen,
  type Member,
  membersOf,
  standingOf,
  type Way,
  wayTo,
} from './members.ts';

/** What a failure to reach an application is the fault of. */
export type Fault =
  /** It could not be connected to. */
  | 'gateway'
  /** The connection never got as far as the endpoint's sidecar, or broke. */
  | 'way'
  /** Its sidecar said no. */
  | 'endpoint';

export interface RotationOptions {
  readonly gateways: Gateways;
  readonly now: () => number;
  readonly random: () => number;
  readonly onOut: (reason: OutReason, upstream: UpstreamName, endpoint: EndpointHash) => void;
}

export type OutReason = 'unreachable' | 'bad-answers' | 'broken-off';

export class Rotation {
  readonly authority: string;
  readonly budget: RetryBudget;
  readonly #options: RotationOptions;
  #upstream: Upstream;
  #members: readonly Member[] = [];
  #standings: readonly Standing[] = [];
  #spread: Spread = { levels: [], shares: [] };
  #turns: { next(): number } = new WeightedTurns([]);
  #isStale = true;
  #gatewaysVersion = 0;
  /** Took its turn and found no stream waiting. */
  #putBack: Way | undefined;
  #retryTurn = 0;

  constructor(upstream: Upstream, options: RotationOptions) {
    this.#upstream = upstream;
    this.#options = options;
    this.authority = `${upstream.host}:${upstream.port}`;
    this.budget = new RetryBudget(options.now());
    this.update(upstream);
  }

  get upstream(): Upstream {
    return this.#upstream;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  update(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#members = membersOf(upstream.endpoints, this.#members, this.#options.gateways);
    this.#putBack = undefined;
    this.#isStale = true;
  }

  /** For the first try of a call. */
  next(): Way | undefined {
    this.#refresh();
    const waiting = this.#putBack;
    if (waiting !== undefined) {
      this.#putBack = undefined;
      return waiting;
    }
    const member = this.#members[this.#turns.next()];
    return member === undefined ? undefined : wayTo(member);
  }

  /** The turn was not used: the next call has it. */
  putBack(way: Way): void {
    this.#putBack = way;
  }

  /** Another endpoint, or another way to one that was tried; what can be reached first. */
  nextAfter(tried: readonly Way[]): Way | undefined {
    this.#refresh();
    const other = this.#other(tried);
    if (other?.isReachable === true) return wayTo(other);
    const ways = tried.flatMap(({ member }) => member.ways).filter(way => !tried.includes(way));
    const open = ways.find(way => way.member.isReachable && isOpen(way));
    return open ?? (other === undefined ? ways[0] : wayTo(other));
  }

  /** Whether a call may be repeated at another endpoint that can be reached. */
  hasOther(tried: readonly Way[]): boolean {
    return this.#other(tried)?.isReachable === true;
  }

  reached(way: Way): void {
    this.#wayReached(way);
    this.#nowReached(way.member);
  }

  failed(way: Way, fault: Fault): void {
    const { gateways, now, random, onOut } = this.#options;
    const { member } = way;
    if (fault === 'gateway' && way.gateway !== undefined) gateways.record(way.gateway, 'failed');
    else if (fault === 'endpoint') {
      this.#wayReached(way);
      member.reach = nextReachability(member.reach, 'failed', now(), random());
    } else way.reach = nextReachability(way.reach, 'failed', now(), random());
    const isReachable = canBeReached(member);
    if (member.isReachable && !isReachable) {
      onOut('unreachable', this.#upstream.name, member.endpoint.hash);
    }
    member.isReachable = isReachable;
    this.#isStale = true;
  }

  answered({ member }: Way, event: AnswerEvent): void {
    const { now, random, onOut } = this.#options;
    const { answers } = member;
    if (event === 'good' && answers.bad === 0 && answers.brokenOff === 0) return;
    const { ejectAfterFailures, ejectedPercentMax } = this.#upstream.policy;
    const nowMs = now();
    const ejected = this.#members.filter(each => nowMs < each.answers.ejectedUntilMs).length;
    const rules = {
      ejectAfterFailures,
      mayEject: mayEject(ejected, this.#members.length, ejectedPercentMax),
    };
    member.answers = nextAnswers(answers, event, rules, nowMs, random());
    if (member.answers.ejectedUntilMs === answers.ejectedUntilMs) return;
    const reason = event === 'bad' ? 'bad-answers' : 'broken-off';
    onOut(reason, this.#upstream.name, member.endpoint.hash);
    this.#isStale = true;
  }

  /**
   * The connection of a call was lost. `breaksBefore`: the member's when the call began. An application that
   * dies breaks off whatever it has in hand: that is one failure and not as many as there were calls.
   */
  brokeOff(way: Way, breaksBefore: number): void {
    if (way.member.breaks !== breaksBefore) return;
    way.member.breaks++;
    this.answered(way, 'broken-off');
  }

  /** Now and then: time passes for what is ejected or has just come back. */
  tick(nowMs: number): void {
    this.budget.advance(nowMs);
    const isComingBack = (member: Member): boolean => {
      const elapsedMs = nowMs - backSince(member);
      return elapsedMs >= 0 && elapsedMs <= SETTLED_MS;
    };
    if (this.#members.some(isComingBack)) this.#isStale = true;
  }

  /** One way for each thing that is out and whose trial is due. */
  trialsDue(nowMs: number): Way[] {
    const isDue = (reach: Member['reach']): boolean =>
      reach.kind === 'out' && nowMs >= reach.trialMs;
    return this.#members.flatMap(member => {
      const due = member.ways.filter(({ gateway, reach }) =>
        isDue(gateway?.reach.kind === 'out' ? gateway.reach : reach),
      );
      const open = due.length === 0 && isDue(member.reach) ? member.ways.find(isOpen) : undefined;
      return open === undefined ? due : [open];
    });
  }

  describe(nowMs: number): unknown {
    this.#refresh();
    return {
      ...this.#upstream,
      levels: this.#spread.levels,
      endpoints: this.#members.map((member, at) => ({
        ...member.endpoint,
        share: this.#spread.shares[at],
        inFlight: member.inFlight,
        outOfService: outReasonOf(member, nowMs),
        ejectedUntilMs: futureOf(member.answers.ejectedUntilMs, nowMs),
        slowStartUntilMs: futureOf(backSince(member) + SLOW_START_MS, nowMs),
        ways: member.ways.map(describeWay),
      })),
    };
  }

  get isPanicking(): boolean {
    return this.#spread.levels.some(level => level.isPanicking);
  }

  #wayReached(way: Way): void {
    if (way.gateway !== undefined) this.#options.gateways.record(way.gateway, 'reached');
    this.#nowReached(way);
  }

  #nowReached(one: Member | Way): void {
    const { now, random } = this.#options;
    const before = one.reach;
    one.reach = nextReachability(before, 'reached', now(), random());
    if (one.reach.kind !== before.kind) this.#isStale = true;
  }

  #other(tried: readonly Way[]): Member | undefined {
    const isTried = (at: number): boolean => {
      const member = this.#members[at];
      return tried.some(way => way.member === member);
    };
    return this.#members[chooseOther(this.#standings, isTried, this.#retryTurn++)];
  }

  #refresh(): void {
    if (this.#isStale || this.#gatewaysVersion !== this.#options.gateways.version) this.#workOut();
  }

  #workOut(): void {
    const { gateways, now, random } = this.#options;
    const nowMs = now();
    const { policy, overprovisioning } = this.#upstream;
    const { panicBelowPercent, balancing } = policy;
    this.#isStale = false;
    this.#gatewaysVersion = gateways.version;
    this.#standings = this.#members.map(member => standingOf(member, nowMs));
    this.#spread = spreadOver(this.#standings, { panicBelowPercent, overprovisioning });
    const { shares } = this.#spread;
    this.#turns =
      balancing === 'least-request'
        ? new LeastRequest(this.#members, this.#standings, shares, random)
        : new WeightedTurns(shares, random);
  }
}

/** A little past the end of a slow start, so that the last step of it is taken. */
const SETTLED_MS = SLOW_START_MS + 1_000;

function outReasonOf({ reach, isReachable, answers }: Member, nowMs: number): string | undefined {
  if (reach.kind === 'out') return 'its sidecar says that the application cannot be reached';
  if (!isReachable) return 'no way to it is open';
  return nowMs < answers.ejectedUntilMs ? 'bad answers or none, several in a row' : undefined;
}

function futureOf(atMs: number, nowMs: number): number | undefined {
  return atMs > nowMs ? atMs : undefined;
}

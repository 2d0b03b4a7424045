/**
 * The endpoints of one upstream as this sidecar sees them, and the ways to each: its own address, or any
 * gateway of its cluster. What was learned outlives the agent's updates, by endpoint and by way.
 */

import { formatAddress } from '../../mesh/address.ts';
import type { Target } from '../../mesh/balancing.ts';
import {
  type AnswerHealth,
  GOOD,
  type Reachability,
  slowStart,
  UNTRIED,
} from '../../mesh/outlier-detection.ts';
import type { Standing } from '../../mesh/spread.ts';
import type { UpstreamEndpoint } from '../../mesh/upstream.ts';
import { sessionKey } from '../tunnel/pool.ts';
import { type Gateway, type Gateways, isAnsweringGateway, isOpenGateway } from './gateways.ts';

export interface Member {
  endpoint: UpstreamEndpoint;
  ways: readonly Way[];
  /** Its sidecar and its application, past whatever way. */
  reach: Reachability;
  answers: AnswerHealth;
  /** Calls that have reached it and are not over. */
  inFlight: number;
  /** How often calls broke off there; those that break off together are one. */
  breaks: number;
  /** As last worked out, and since when again. */
  isReachable: boolean;
  backSinceMs: number;
  /** Whose turn it is among its ways. */
  wayTurn: number;
}

export interface Way {
  readonly member: Member;
  target: Target;
  /** The session to take. */
  readonly key: string;
  readonly gateway: Gateway | undefined;
  /** From behind the gateway's door to the endpoint's. */
  reach: Reachability;
  isOnTrial: boolean;
}

/** `before` says what is known already of endpoints that stay. */
export function membersOf(
  endpoints: readonly UpstreamEndpoint[],
  before: readonly Member[],
  gateways: Gateways,
): Member[] {
  const known = new Map(before.map(member => [member.endpoint.hash, member]));
  return endpoints.map(endpoint => {
    const member = known.get(endpoint.hash) ?? newMember(endpoint);
    const ways = new Map(member.ways.map(way => [way.key, way]));
    member.endpoint = endpoint;
    member.ways = endpoint.addresses.map(address => {
      const target = { endpoint, address };
      const way = ways.get(sessionKey(target));
      if (way === undefined) return newWay(member, target, gateways);
      way.target = target;
      return way;
    });
    return member;
  });
}

export function isOpen(way: Way): boolean {
  return way.reach.kind === 'in' && (way.gateway === undefined || isOpenGateway(way.gateway));
}

/** What its share depends on, now. */
export function standingOf(member: Member, nowMs: number): Standing {
  const { endpoint, answers } = member;
  const isReachable = canBeReached(member);
  if (isReachable && !member.isReachable) member.backSinceMs = nowMs;
  member.isReachable = isReachable;
  const isEjected = nowMs < answers.ejectedUntilMs;
  // What panic brings back is to carry its part at once.
  const ramp = isEjected ? 1 : slowStart(backSince(member), nowMs);
  return {
    priority: endpoint.priority,
    weight: endpoint.weight,
    availability: (endpoint.availability / 100) * ramp,
    isReachable,
    isEjected,
  };
}

export function isInService(member: Member, nowMs: number): boolean {
  return canBeReached(member) && nowMs >= member.answers.ejectedUntilMs;
}

export function canBeReached({ reach, ways }: Member): boolean {
  return reach.kind === 'in' && ways.some(isOpen);
}

export function backSince({ backSinceMs, answers }: Member): number {
  return Math.max(backSinceMs, answers.ejectedUntilMs);
}

/** One way after the other; those that are out only when all are, and then one that answers first. */
export function wayTo(member: Member): Way | undefined {
  const { ways } = member;
  const first = member.wayTurn++;
  for (let i = 0; i < ways.length; i++) {
    const way = ways[(first + i) % ways.length] as Way;
    if (isOpen(way)) return way;
  }
  const answering = ways.find(
    ({ gateway }) => gateway !== undefined && isAnsweringGateway(gateway),
  );
  return answering ?? ways[first % ways.length];
}

export function describeWay({ target, gateway, reach }: Way): unknown {
  const outSinceMs = reach.kind === 'out' ? reach.sinceMs : undefined;
  const gatewayOutSinceMs = gateway?.reach.kind === 'out' ? gateway.reach.sinceMs : undefined;
  const { probed } = gateway ?? {};
  return { address: formatAddress(target.address), outSinceMs, gatewayOutSinceMs, probed };
}

function newMember(endpoint: UpstreamEndpoint): Member {
  return {
    endpoint,
    ways: [],
    reach: UNTRIED,
    answers: GOOD,
    inFlight: 0,
    breaks: 0,
    isReachable: true,
    backSinceMs: Number.NEGATIVE_INFINITY,
    wayTurn: 0,
  };
}

function newWay(member: Member, target: Target, gateways: Gateways): Way {
  const gateway = target.endpoint.path === 'gateway' ? gateways.at(target.address) : undefined;
  const key = sessionKey(target);
  return { member, target, key, gateway, reach: UNTRIED, isOnTrial: false };
}

/**
 * One delta xDS stream as a pure state machine: `next(state, event)` → state, at most one response.
 *
 * At most one response is in flight. Whatever changes meanwhile is merged, because the next response is
 * worked out from the newest snapshot only once the last one is answered. Additions go in the order of
 * RESOURCE_ORDER, removals in the opposite one, so nothing a proxy holds refers to what it lacks.
 */

import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../wire/generated/envoy/service/discovery/v3/discovery.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPE_URLS,
  type ResourceType,
  resourceTypeOf,
  type XdsResource,
} from '../../wire/xds/resource.ts';
import { RESPONSE_BYTES_MAX, SUBSCRIPTIONS_MAX } from '../limits.ts';
import type { Snapshot, TypeSnapshot } from './snapshot.ts';

export interface StreamState {
  readonly snapshot: Snapshot;
  readonly types: ReadonlyMap<ResourceType, Subscription>;
  readonly inFlight: InFlight | undefined;
  /** Responses sent so far; the nonce of the next one. */
  readonly sent: number;
}

interface Subscription {
  readonly wildcard: boolean;
  readonly names: ReadonlySet<string>;
  /** What the proxy has, by name; ABSENT where it was told that there is none. */
  readonly known: ReadonlyMap<string, string>;
  /** What it has refused, by name: not sent again until it changes. */
  readonly rejected: ReadonlyMap<string, string>;
  /** Every subscription is answered once, if only to say that there is nothing new. */
  readonly answered: boolean;
}

interface InFlight {
  readonly type: ResourceType;
  readonly nonce: string;
  readonly systemVersion: string;
  /** Version sent, or ABSENT, by name. */
  readonly versions: ReadonlyMap<string, string>;
}

const ABSENT = '';
const WILDCARD = '*';

export type StreamEvent =
  | { readonly kind: 'request'; readonly request: DeltaDiscoveryRequest }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot };

export type StreamOutcome =
  /** Subscriptions changed, or the snapshot did. */
  | { readonly kind: 'noted' }
  | {
      readonly kind: 'acked';
      readonly type: ResourceType;
      readonly version: string;
      /** Some of the type, as it is now, was refused earlier. */
      readonly refusing: boolean;
    }
  | { readonly kind: 'nacked'; readonly type: ResourceType; readonly message: string }
  /** Answers a response that is not the one in flight; its subscriptions count all the same. */
  | { readonly kind: 'stale-nonce'; readonly type: ResourceType }
  /** Asks for a type we do not serve: never answered, as xDS has it. */
  | { readonly kind: 'unknown-type'; readonly typeUrl: string }
  | { readonly kind: 'too-many-subscriptions'; readonly type: ResourceType };

export interface StreamStep {
  readonly state: StreamState;
  readonly outcome: StreamOutcome;
  readonly send: DeltaDiscoveryResponse | undefined;
}

export function openStream(snapshot: Snapshot): StreamState {
  return { snapshot, types: new Map(), inFlight: undefined, sent: 0 };
}

export function next(state: StreamState, event: StreamEvent): StreamStep {
  if (event.kind === 'snapshot') {
    return withResponse({ ...state, snapshot: event.snapshot }, { kind: 'noted' });
  }
  const { request } = event;
  const type = resourceTypeOf(request.typeUrl);
  if (type === undefined) {
    const typeUrl = request.typeUrl.slice(0, 200);
    return { state, outcome: { kind: 'unknown-type', typeUrl }, send: undefined };
  }
  const answered = answer(state, type, request);
  const subscription = subscribe(answered.state.types.get(type), request);
  if (subscription.names.size > SUBSCRIPTIONS_MAX) {
    return { state, outcome: { kind: 'too-many-subscriptions', type }, send: undefined };
  }
  return withResponse(withType(answered.state, type, subscription), answered.outcome);
}

/** What the request says about a response of ours. */
function answer(
  state: StreamState,
  type: ResourceType,
  request: DeltaDiscoveryRequest,
): { readonly state: StreamState; readonly outcome: StreamOutcome } {
  // A first request, or one that only changes subscriptions, answers nothing.
  if (request.responseNonce === '') return { state, outcome: { kind: 'noted' } };
  const { inFlight } = state;
  const subscription = state.types.get(type);
  // The proxy answers what it was sent before our restart, or twice.
  if (
    inFlight === undefined ||
    subscription === undefined ||
    inFlight.type !== type ||
    inFlight.nonce !== request.responseNonce
  ) {
    return { state, outcome: { kind: 'stale-nonce', type } };
  }
  const settled = { ...state, inFlight: undefined };
  // The proxy keeps what it had, and may have taken the good part. It is not sent the same again. A
  // removal cannot be refused, or it would be repeated for ever.
  if (request.errorDetail !== undefined && !isRemoval(inFlight)) {
    const rejected = new Map([...subscription.rejected, ...inFlight.versions]);
    return {
      state: withType(settled, type, { ...subscription, rejected }),
      outcome: { kind: 'nacked', type, message: request.errorDetail.message },
    };
  }
  const known = new Map([...subscription.known, ...inFlight.versions]);
  const rejected = new Map(subscription.rejected);
  for (const name of inFlight.versions.keys()) rejected.delete(name);
  const { resources } = state.snapshot.types[type];
  const refusing = [...rejected].some(([name, each]) => resources.get(name)?.version === each);
  return {
    state: withType(settled, type, { ...subscription, known, rejected }),
    outcome: { kind: 'acked', type, version: inFlight.systemVersion, refusing },
  };
}

function isRemoval({ versions }: InFlight): boolean {
  return [...versions.values()].includes(ABSENT);
}

function subscribe(before: Subscription | undefined, request: DeltaDiscoveryRequest): Subscription {
  const subscribed = request.resourceNamesSubscribe;
  if (before === undefined) {
    return {
      // A first request that names nothing wants everything, as do those before xDS had "*".
      wildcard: subscribed.length === 0 || subscribed.includes(WILDCARD),
      names: new Set(subscribed.filter(name => name !== WILDCARD)),
      known: new Map(Object.entries(request.initialResourceVersions)),
      rejected: new Map(),
      answered: false,
    };
  }
  const unsubscribed = request.resourceNamesUnsubscribe;
  if (subscribed.length === 0 && unsubscribed.length === 0) return before;
  const names = new Set(before.names);
  const known = new Map(before.known);
  for (const name of unsubscribed) if (names.delete(name)) known.delete(name);
  // Asking again for a name asks to be sent it again.
  for (const name of subscribed) {
    known.delete(name);
    if (name !== WILDCARD) names.add(name);
  }
  const wildcard =
    subscribed.includes(WILDCARD) || (before.wildcard && !unsubscribed.includes(WILDCARD));
  return { ...before, wildcard, names, known };
}

function withResponse(state: StreamState, outcome: StreamOutcome): StreamStep {
  const due = state.inFlight === undefined ? nextResponse(state) : undefined;
  if (due === undefined) return { state, outcome, send: undefined };
  const { type, put, removed } = due;
  const nonce = String(state.sent + 1);
  const { version } = state.snapshot.types[type];
  const versions = new Map(put.map(resource => [resource.name, resource.version]));
  for (const name of removed) versions.set(name, ABSENT);
  const inFlight: InFlight = { type, nonce, systemVersion: version, versions };
  const subscription = state.types.get(type);
  const answered =
    subscription === undefined ? state : withType(state, type, { ...subscription, answered: true });
  return {
    state: { ...answered, inFlight, sent: state.sent + 1 },
    outcome,
    send: {
      systemVersionInfo: version,
      typeUrl: RESOURCE_TYPE_URLS[type],
      nonce,
      resources: put.map(({ name, version: each, bytes }) => ({
        name,
        version: each,
        resource: { typeUrl: RESOURCE_TYPE_URLS[type], value: bytes },
      })),
      removedResources: [...removed],
    },
  };
}

interface Due {
  readonly type: ResourceType;
  readonly put: readonly XdsResource[];
  readonly removed: readonly string[];
}

function nextResponse({ snapshot, types }: StreamState): Due | undefined {
  for (const type of RESOURCE_ORDER) {
    const subscription = types.get(type);
    if (subscription === undefined) continue;
    const put = additions(subscription, snapshot.types[type].resources);
    if (put.length > 0 || !subscription.answered) return { type, put, removed: [] };
  }
  for (const type of [...RESOURCE_ORDER].reverse()) {
    const subscription = types.get(type);
    if (subscription === undefined) continue;
    const removed = removals(subscription, snapshot, type);
    if (removed.length > 0) return { type, put: [], removed };
  }
  return undefined;
}

/** As many as fit a response. */
function additions(
  { wildcard, names, known, rejected }: Subscription,
  resources: TypeSnapshot['resources'],
): XdsResource[] {
  const put: XdsResource[] = [];
  let bytes = 0;
  for (const resource of resources.values()) {
    const { name, version } = resource;
    if (!wildcard && !names.has(name)) continue;
    if (known.get(name) === version || rejected.get(name) === version) continue;
    bytes += resource.bytes.length;
    if (put.length > 0 && bytes > RESPONSE_BYTES_MAX) break;
    put.push(resource);
  }
  return put;
}

function removals(
  { names, known, rejected }: Subscription,
  snapshot: Snapshot,
  type: ResourceType,
): string[] {
  if (!snapshot.complete) return [];
  const { resources } = snapshot.types[type];
  const sent = new Set(
    [...known, ...rejected].flatMap(([name, v]) => (v === ABSENT ? [] : [name])),
  );
  const never = [...names].filter(name => !known.has(name));
  return [...new Set([...sent, ...never])].filter(name => !resources.has(name));
}

function withType(state: StreamState, type: ResourceType, subscription: Subscription): StreamState {
  return { ...state, types: new Map(state.types).set(type, subscription) };
}

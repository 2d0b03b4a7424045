/**
 * What operators want of the whole ClusterSet, as opposed to what a cluster says of itself.
 *
 * Intents belong to the ClusterSet: they are written through the registry's operator socket only, and
 * every agent watches them beside the clusters' records. There is one intent for each kind and subject;
 * a new one replaces it.
 */

import {
  type Branded,
  type ClusterName,
  isDnsLabel,
  type Namespace,
  type ServiceName,
} from './names.ts';

export type Intent = IntentBody & {
  /** Why, in the operator's words. */
  readonly reason: string;
  readonly atMs: number;
  /** Who, as far as the command could tell. */
  readonly by: string;
};

export type IntentBody =
  /** Only these clusters may back the service; see mesh/ownership. */
  | {
      readonly kind: 'service-ownership';
      readonly namespace: Namespace;
      readonly name: ServiceName;
      readonly clusters: readonly ClusterName[];
    }
  /** Take the cluster's weight away, evenly over this time. */
  | {
      readonly kind: 'drain';
      readonly cluster: ClusterName;
      readonly startMs: number;
      readonly overMs: number;
      /** A rehearsal ends by itself, whatever becomes of the command that began it. */
      readonly untilMs?: number;
    }
  /** Send the service's calls there, whatever else is healthy. */
  | {
      readonly kind: 'failover';
      readonly namespace: Namespace;
      readonly name: ServiceName;
      readonly to: ClusterName;
      readonly untilMs: number;
    }
  /** Believe nothing of the cluster any more; `statement` is signed by the ClusterSet's authority. */
  | {
      readonly kind: 'cluster-revocation';
      readonly cluster: ClusterName;
      readonly statement: Uint8Array;
    }
  /** The cluster has left: its memberships of `atMs` and before are over (docs/decisions/0036). */
  | {
      readonly kind: 'departure';
      readonly cluster: ClusterName;
    };

export type IntentKind = IntentBody['kind'];

export type Departure = Extract<Intent, { readonly kind: 'departure' }>;

/** Whether it ends a membership whose certificate begins then: all that were valid when the cluster left. */
export function endsMembership({ atMs }: Departure, sinceMs: number): boolean {
  return sinceMs <= atMs;
}

/** `<kind>/<namespace>/<service>` or `<kind>/<cluster>`. */
export type IntentKey = Branded<string, 'IntentKey'>;

export function intentKey(intent: IntentBody): IntentKey {
  switch (intent.kind) {
    case 'service-ownership':
    case 'failover':
      return `${intent.kind}/${intent.namespace}/${intent.name}` as IntentKey;
    case 'drain':
    case 'cluster-revocation':
    case 'departure':
      return `${intent.kind}/${intent.cluster}` as IntentKey;
  }
}

const SUBJECT_PARTS: Readonly<Record<IntentKind, number>> = {
  'service-ownership': 2,
  failover: 2,
  drain: 1,
  'cluster-revocation': 1,
  departure: 1,
};

/** Undefined for a text that `intentKey` does not make. */
export function parseIntentKey(text: string): IntentKey | undefined {
  const [kind = '', ...subject] = text.split('/');
  if (!Object.hasOwn(SUBJECT_PARTS, kind)) return undefined;
  if (subject.length !== SUBJECT_PARTS[kind as IntentKind]) return undefined;
  return subject.every(isDnsLabel) ? (text as IntentKey) : undefined;
}

/**
 * The operators' intents as the registry stores and sends them. Like records, they are checked by every
 * reader: REQUEST_INVALID names the field and the value found.
 */

import { messageOf } from '../mesh/errors.ts';
import type { Intent, IntentBody, IntentKey } from '../mesh/intent.ts';
import { parseIntentKey } from '../mesh/intent.ts';
import { parseClusterName, parseNamespace, parseServiceName } from '../mesh/names.ts';
import * as pb from './generated/isthmus/registry/v1/registry.ts';
import { atMost, invalid, refusing, shown, text } from './registry-fields.ts';

const OWNERS_MAX = 1_000;

export interface StoredIntent {
  readonly intent: Intent;
  /** Of the last write to it. */
  readonly revision: bigint;
}

/** As the store keeps it. */
export function formatIntent(intent: Intent): Uint8Array {
  return pb.Intent.encode(encodeIntent(intent)).finish();
}

/** Throws REQUEST_INVALID for anything `formatIntent` does not write. */
export function parseIntent(bytes: Uint8Array): Intent {
  let message: pb.Intent;
  try {
    message = pb.Intent.decode(bytes);
  } catch (error) {
    throw invalid(`intent of ${bytes.length} bytes is not protobuf: ${messageOf(error)}`);
  }
  return decodeIntent(message);
}

function encodeIntent(intent: Intent): pb.Intent {
  const { reason, atMs, by } = intent;
  return { kind: encodeKind(intent), reason, atMs: BigInt(Math.round(atMs)), by };
}

function decodeIntent(message: pb.Intent): Intent {
  const { reason, atMs, by } = message;
  return {
    ...refusing(() => decodeKind(message)),
    reason: text('reason', reason),
    atMs: Number(atMs),
    by: text('by', by),
  };
}

/** Throws REQUEST_INVALID. */
export function decodeIntentKey(key: string): IntentKey {
  const parsed = parseIntentKey(key);
  if (parsed !== undefined) return parsed;
  throw invalid(`intent key ${shown(key)} names no intent this version knows`);
}

function encodeKind(intent: IntentBody): NonNullable<pb.Intent['kind']> {
  switch (intent.kind) {
    case 'service-ownership': {
      const { namespace, name, clusters } = intent;
      const value = { namespace, service: name, clusters: [...clusters] };
      return { $case: 'serviceOwnership', value };
    }
    case 'drain': {
      const { cluster, startMs, overMs, untilMs = 0 } = intent;
      return {
        $case: 'drain',
        value: {
          cluster,
          startMs: BigInt(startMs),
          overMs: BigInt(overMs),
          untilMs: BigInt(untilMs),
        },
      };
    }
    case 'failover': {
      const { namespace, name, to, untilMs } = intent;
      return {
        $case: 'failover',
        value: { namespace, service: name, to, untilMs: BigInt(untilMs) },
      };
    }
    case 'cluster-revocation': {
      const { cluster, statement } = intent;
      return { $case: 'clusterRevocation', value: { cluster, statement: Buffer.from(statement) } };
    }
    case 'departure':
      return { $case: 'departure', value: { cluster: intent.cluster } };
  }
}

function decodeKind({ kind }: pb.Intent): IntentBody {
  switch (kind?.$case) {
    case 'serviceOwnership':
      return {
        kind: 'service-ownership',
        namespace: parseNamespace(kind.value.namespace),
        name: parseServiceName(kind.value.service),
        clusters: atMost('clusters', OWNERS_MAX, kind.value.clusters).map(parseClusterName),
      };
    case 'drain':
      return {
        kind: 'drain',
        cluster: parseClusterName(kind.value.cluster),
        startMs: Number(kind.value.startMs),
        overMs: Number(kind.value.overMs),
        ...(kind.value.untilMs === 0n ? {} : { untilMs: Number(kind.value.untilMs) }),
      };
    case 'failover':
      return {
        kind: 'failover',
        namespace: parseNamespace(kind.value.namespace),
        name: parseServiceName(kind.value.service),
        to: parseClusterName(kind.value.to),
        untilMs: Number(kind.value.untilMs),
      };
    case 'clusterRevocation':
      return {
        kind: 'cluster-revocation',
        cluster: parseClusterName(kind.value.cluster),
        statement: kind.value.statement,
      };
    case 'departure':
      return { kind: 'departure', cluster: parseClusterName(kind.value.cluster) };
    case undefined:
      throw invalid('intent has no kind this version knows');
  }
}

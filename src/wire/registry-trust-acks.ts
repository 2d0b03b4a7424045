/** The record by which a cluster says how far bundles have come among its proxies (mesh/trust-acks.ts). */

import { parseTrustDomain } from '../mesh/spiffe-id.ts';
import { LAGGARDS_MAX, type TrustAck } from '../mesh/trust-acks.ts';
import type * as pb from './generated/isthmus/registry/v1/registry.ts';
import { atMost, invalid, text } from './registry-fields.ts';

const ACKS_MAX = 1_000;

export function encodeTrustAcks(acks: readonly TrustAck[]): pb.TrustAcks {
  return {
    acks: acks.map(({ offered, sequence, laggards, ...rest }) => ({
      ...rest,
      offered: BigInt(offered),
      sequence: BigInt(sequence),
      laggards: laggards.map(({ sinceMs, ...laggard }) => ({
        ...laggard,
        sinceMs: BigInt(Math.round(sinceMs)),
      })),
    })),
  };
}

/** Throws REQUEST_INVALID, LIMIT_EXCEEDED, NAME_INVALID. */
export function decodeTrustAcks({ acks }: pb.TrustAcks): readonly TrustAck[] {
  return atMost('trust acknowledgements', ACKS_MAX, acks).map(ack => ({
    trustDomain: parseTrustDomain(ack.trustDomain),
    offered: safe('offered', ack.offered),
    sequence: safe('sequence', ack.sequence),
    proxies: ack.proxies,
    current: ack.current,
    laggards: atMost('laggards', LAGGARDS_MAX, ack.laggards).map(laggard => ({
      proxy: text('proxy', laggard.proxy),
      lacks: text('lacks', laggard.lacks),
      sinceMs: safe('since', laggard.sinceMs),
    })),
  }));
}

function safe(field: string, value: bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw invalid(`${field} "${value}" is too large`);
}

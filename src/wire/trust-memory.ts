/** Whom an agent believes, as bytes on its disk: the signed statements themselves, so nothing is lost. */

import { MeshError } from '../mesh/errors.ts';
import type { RememberedBundle, TrustMemory } from '../mesh/membership.ts';
import { parseClusterName } from '../mesh/names.ts';
import * as pb from './generated/isthmus/trust/v1/trust.ts';
import { formatSigned, parseSignedBundle, parseSignedRevocation } from './signed-statement.ts';

export function formatTrustMemory({ bundles, revocations }: TrustMemory): Uint8Array {
  return pb.TrustMemory.encode({
    bundles: [...bundles.values()].map(({ cluster, signed, successor }) => ({
      cluster,
      signed: Buffer.from(formatSigned(signed)),
      successorByMembership: successor === 'membership',
    })),
    revocations: [...revocations.values()].map(({ signed }) => Buffer.from(formatSigned(signed))),
  }).finish();
}

/** Throws PROTOCOL_VIOLATION, NAME_INVALID, LIMIT_EXCEEDED: half a memory is none. */
export function parseTrustMemory(content: Uint8Array): TrustMemory {
  const memory = pb.TrustMemory.decode(content);
  const bundles = memory.bundles.map((each): RememberedBundle => {
    const cluster = parseClusterName(each.cluster);
    const signed = parseSignedBundle(each.signed);
    if (signed.cluster !== cluster) {
      throw new MeshError('PROTOCOL_VIOLATION', `bundle of "${signed.cluster}" under "${cluster}"`);
    }
    return { cluster, signed, successor: each.successorByMembership ? 'membership' : 'roots' };
  });
  const revocations = memory.revocations.map(parseSignedRevocation);
  return {
    bundles: new Map(bundles.map(each => [each.signed.bundle.trustDomain, each])),
    revocations: new Map(revocations.map(each => [each.cluster, each])),
  };
}

/**
 * A published bundle: its own cluster's, vouched for, and fit to follow the one in the table.
 *
 * The rules are those by which every importer judges it again (mesh/membership.ts). A publisher learns
 * here that nobody would believe its bundle; importers never rely on anybody having looked.
 */

import type { BundleProofs, HeldBundle } from '../../mesh/bundle-succession.ts';
import { revocationKey } from '../../mesh/cluster-revocation.ts';
import { isMeshError, MeshError } from '../../mesh/errors.ts';
import { acceptBundle } from '../../mesh/membership.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { BundleOffer } from '../../mesh/signed-bundle.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { BundleRecord } from '../../wire/registry-records.ts';
import { parseBundleOffer } from '../../wire/signed-statement.ts';
import { formatIntentKey, formatKey } from '../keys.ts';
import { BUNDLE_RECORD_BYTES_MAX } from '../limits.ts';
import type { RegistryTable } from '../table/table.ts';

export interface BundlePlace {
  readonly caller: ClusterName;
  /** As its config says. */
  readonly trustDomain: TrustDomain;
  readonly clusterSet: TrustDomain;
  readonly table: RegistryTable;
  readonly proofs: BundleProofs;
}

/** Throws PERMISSION_DENIED, REQUEST_INVALID or LIMIT_EXCEEDED. */
export function checkBundle(record: BundleRecord, place: BundlePlace): void {
  const { caller, trustDomain, clusterSet, proofs } = place;
  const bytes = [record.signed, ...record.predecessors].reduce((sum, each) => sum + each.length, 0);
  if (bytes > BUNDLE_RECORD_BYTES_MAX) {
    throw new MeshError(
      'LIMIT_EXCEEDED',
      `${bytes} bytes in a bundle record, at most ${BUNDLE_RECORD_BYTES_MAX} are accepted`,
    );
  }
  const offer = readable(record);
  const claim = { name: caller, trustDomain, bundle: { kind: 'offered', offer } } as const;
  acceptBundle(claim, clusterSet, heldBundle(place), proofs, (_kind, message) => {
    throw new MeshError('PERMISSION_DENIED', message);
  });
}

function readable(record: BundleRecord): BundleOffer {
  try {
    return parseBundleOffer(record);
  } catch (error) {
    if (!isMeshError(error, 'PROTOCOL_VIOLATION')) throw error;
    throw new MeshError('REQUEST_INVALID', error.message, { cause: error });
  }
}

/** The version in the table. A cluster that was ever restored may start again from its membership. */
function heldBundle({ caller, trustDomain, table }: BundlePlace): HeldBundle | undefined {
  const row = table.rows.get(formatKey({ cluster: caller, id: { kind: 'bundle' } }));
  if (row?.kind !== 'record' || row.record.kind !== 'bundle') return undefined;
  const signed = readable(row.record.bundle).current;
  if (signed.bundle.trustDomain !== trustDomain) return undefined;
  const restored = table.rows.has(formatIntentKey(revocationKey(caller)));
  return { signed, successor: restored ? 'membership' : 'roots' };
}

/**
 * The one write path: what a Publish may change, decided from the caller's identity.
 *
 * Store keys are made here from the cluster in the caller's certificate, so there is no request that
 * names another cluster's record; everything else a record says is checked against what that cluster is
 * allowed to say. Pure: the table as it is goes in, one commit or a MeshError comes out.
 */

import type { BundleProofs } from '../mesh/bundle-succession.ts';
import { MeshError } from '../mesh/errors.ts';
import type { ClusterName } from '../mesh/names.ts';
import { type TrustDomain, trustDomainOf } from '../mesh/spiffe-id.ts';
import type { PublishRequest } from '../wire/generated/isthmus/registry/v1/registry.ts';
import {
  decodeRecord,
  decodeRecordId,
  type ExportSlice,
  formatRecord,
  idOf,
  type RegistryRecord,
} from '../wire/registry-records.ts';
import { checkBundle } from './bundle-admission.ts';
import { formatKey } from './keys.ts';
import { CLUSTER_RECORDS_MAX, PUBLISH_BYTES_MAX, PUBLISH_RECORDS_MAX } from './limits.ts';
import type { Commit, Put } from './store.ts';
import type { Row } from './table-mirror.ts';

export interface AdmissionContext {
  readonly caller: ClusterName;
  readonly clusterSet: TrustDomain;
  /** By store key. */
  readonly rows: ReadonlyMap<string, Row>;
  readonly ownsLease: (leaseId: string) => boolean;
  readonly proofs: BundleProofs;
}

/** Throws PERMISSION_DENIED, REQUEST_INVALID, LIMIT_EXCEEDED or LEASE_NOT_FOUND. */
export function admit(request: PublishRequest, context: AdmissionContext): Commit {
  const { caller, rows } = context;
  const count = request.puts.length + request.deletes.length;
  if (count === 0) throw invalid('publish has neither puts nor deletes');
  limit(count, PUBLISH_RECORDS_MAX, 'records in one publish; send several');

  const records = request.puts.map(put => decodeRecord(put, caller));
  checkRecords(records, context);
  const puts = records.map((record): Put => {
    const put = {
      key: formatKey({ cluster: caller, id: idOf(record) }),
      value: formatRecord(record),
    };
    return record.kind === 'alive' ? { ...put, leaseId: leaseOf(request, context) } : put;
  });
  const deletes = request.deletes.map(id => formatKey({ cluster: caller, id: decodeRecordId(id) }));

  const keys = [...puts.map(({ key }) => key), ...deletes];
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw invalid(`record "${twice}" occurs twice in one publish`);
  const bytes = puts.reduce((sum, { value }) => sum + value.length, 0);
  limit(bytes, PUBLISH_BYTES_MAX, 'bytes in one publish; send several');
  if (puts.some(({ key }) => !rows.has(key))) {
    const others = [...rows].filter(
      ([key, row]) => row.kind === 'record' && row.cluster === caller && !keys.includes(key),
    );
    limit(others.length + puts.length, CLUSTER_RECORDS_MAX, `records of cluster "${caller}"`);
  }
  return { puts, deletes };
}

function checkRecords(records: readonly RegistryRecord[], context: AdmissionContext): void {
  const trustDomain = trustDomainAfter(records, context);
  for (const record of records) {
    switch (record.kind) {
      case 'bundle':
        checkBundle(record.bundle, { ...context, trustDomain: trustDomain() });
        break;
      case 'export-slice':
        checkSlice(record.slice, trustDomain());
        break;
      case 'config':
      case 'synced':
      case 'alive':
      case 'trust-acks':
        break;
    }
  }
}

/** The caller's trust domain once this publish is applied; asking throws while it has none. */
function trustDomainAfter(
  records: readonly RegistryRecord[],
  context: AdmissionContext,
): () => TrustDomain {
  const { caller, rows } = context;
  const row = rows.get(formatKey({ cluster: caller, id: { kind: 'config' } }));
  const stored = row?.kind === 'record' ? row.record : undefined;
  let trustDomain = stored?.kind === 'config' ? stored.config.trustDomain : undefined;
  for (const record of records) {
    if (record.kind !== 'config') continue;
    const { config } = record;
    if (config.name !== caller) {
      throw denied(`config is of cluster "${config.name}", the certificate is of "${caller}"`);
    }
    if (trustDomain !== undefined && trustDomain !== config.trustDomain) {
      throw denied(
        `cluster "${caller}" is registered with trust domain "${trustDomain}", not "${config.trustDomain}"; delete its records first`,
      );
    }
    checkUnclaimed(config.trustDomain, context);
    trustDomain = config.trustDomain;
  }
  return () => {
    if (trustDomain !== undefined) return trustDomain;
    throw invalid(`cluster "${caller}" has no config record yet; publish that first`);
  };
}

function checkUnclaimed(trustDomain: TrustDomain, context: AdmissionContext): void {
  if (trustDomain === context.clusterSet) {
    throw denied(`trust domain "${trustDomain}" is the ClusterSet's own; choose another`);
  }
  for (const row of context.rows.values()) {
    if (row.kind !== 'record' || row.record.kind !== 'config') continue;
    if (row.cluster === context.caller || row.record.config.trustDomain !== trustDomain) continue;
    throw denied(
      `trust domain "${trustDomain}" belongs to cluster "${row.cluster}"; choose another`,
    );
  }
}

function checkSlice(slice: ExportSlice, own: TrustDomain): void {
  for (const { workload, spiffeId } of slice.endpoints) {
    if (trustDomainOf(spiffeId) === own) continue;
    throw denied(`endpoint "${workload}" has identity "${spiffeId}" outside trust domain "${own}"`);
  }
}

function leaseOf({ leaseId }: PublishRequest, context: AdmissionContext): string {
  if (leaseId === '') throw invalid('an alive record needs a lease; grant one first');
  if (context.ownsLease(leaseId)) return leaseId;
  throw leaseNotFound(leaseId);
}

export function leaseNotFound(leaseId: string): MeshError {
  return new MeshError(
    'LEASE_NOT_FOUND',
    `lease ${JSON.stringify(leaseId.slice(0, 80))} is not one of this cluster's; grant another`,
  );
}

function limit(found: number, max: number, what: string): void {
  if (found <= max) return;
  throw new MeshError('LIMIT_EXCEEDED', `${found} ${what}, at most ${max} are accepted`);
}

function invalid(message: string): MeshError {
  return new MeshError('REQUEST_INVALID', message);
}

function denied(message: string): MeshError {
  return new MeshError('PERMISSION_DENIED', message);
}

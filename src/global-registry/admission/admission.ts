/**
 * The one write path: what a Publish may change, decided from the caller's identity.
 *
 * Store keys are made here from the cluster in the caller's certificate, so there is no request that
 * names another cluster's record; everything else a record says is checked against what that cluster is
 * allowed to say. Pure: the table as it is goes in, one commit or a MeshError comes out.
 *
 * The commit expects every record to be as it is in the table now, so one that reaches the store late,
 * after its caller has given up and written something newer, changes nothing. What is stored is what was
 * sent, fields of newer versions included.
 */

import { MeshError } from '../../mesh/errors.ts';
import { type ClusterName, type ServiceKey, serviceKey } from '../../mesh/names.ts';
import type * as pb from '../../wire/generated/isthmus/registry/v1/registry.ts';
import {
  decodeRecordId,
  idOf,
  parseRecord,
  type RecordId,
  type RegistryRecord,
} from '../../wire/registry-records.ts';
import { domainKey, formatKey } from '../keys.ts';
import { PUBLISH_BYTES_MAX, PUBLISH_RECORDS_MAX } from '../limits.ts';
import type { AuditChange } from '../operators/audit.ts';
import { federationChanges } from '../operators/federation-changes.ts';
import type { Commit, Put } from '../store/store.ts';
import { type KeptRecord, kept } from '../table/kept-record.ts';
import type { RegistryTable } from '../table/table.ts';
import type { Stored } from '../table/usage.ts';
import { checkConfig, configAfter, gatewaysIn } from './admission-config.ts';
import type { AdmissionContext } from './admission-context.ts';
import { checkSlice } from './admission-slice.ts';
import { checkBundle } from './bundle-admission.ts';
import { checkInstance } from './instance-rule.ts';
import { checkQuotas } from './quotas.ts';

export interface Admitted {
  readonly commit: Commit;
  /** What it means for the federation. */
  readonly changes: readonly AuditChange[];
}

/**
 * Throws PERMISSION_DENIED, REQUEST_INVALID, LIMIT_EXCEEDED, LEASE_NOT_FOUND or INSTANCE_CONFLICT.
 */
export function admit(request: pb.PublishRequest, context: AdmissionContext): Admitted {
  const { caller, table } = context;
  const count = request.puts.length + request.deletes.length;
  if (count === 0) throw invalid('publish has neither puts nor deletes');
  limit(count, PUBLISH_RECORDS_MAX, 'records in one publish; send several');
  checkInstance(table, caller, {
    instance: request.instance,
    previous: request.previousInstances,
  });

  const puts = request.puts.map(value => admitPut(value, request, context));
  const deleted = request.deletes.map(decodeRecordId);
  const deletes = deleted.map(id => formatKey({ cluster: caller, id }));
  const keys = [...puts.map(({ put }) => put.key), ...deletes];
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw invalid(`record "${twice}" occurs twice in one publish`);
  const bytes = puts.reduce((sum, { put }) => sum + put.value.length, 0);
  limit(bytes, PUBLISH_BYTES_MAX, 'bytes in one publish; send several');

  const records = puts.map(({ record }) => record);
  checkRecords(records, context);
  const added = puts.map(({ record, put }) => ({
    key: put.key,
    record: kept(record),
    bytes: put.value.length,
  }));
  if (puts.length > 0) {
    checkQuotas(caller, table.usageOf(caller).after(storedUnder(keys, table), added));
  }

  const domain = domainCommit(context, records, deletes);
  const services = new Set([...records.map(idOf), ...deleted].flatMap(serviceOf));
  const before = concerned(context, [...services]);
  const after = new Map(before);
  for (const key of deletes) after.delete(key);
  for (const { key, record } of added) after.set(key, record);
  const touched = [...keys, configKey(caller)];
  return {
    commit: {
      puts: [...puts.map(({ put }) => put), ...domain.puts],
      deletes: [...deletes, ...domain.deletes],
      expect: [...new Set(touched), ...domain.keys].map(key => ({
        key,
        revision: table.revisionOf(key) ?? 0n,
      })),
    },
    changes: federationChanges(caller, before, after),
  };
}

interface AdmittedPut {
  readonly record: RegistryRecord;
  readonly put: Put;
}

function admitPut(
  value: Uint8Array,
  request: pb.PublishRequest,
  context: AdmissionContext,
): AdmittedPut {
  const { caller } = context;
  const record = parseRecord(value, caller);
  const put = { key: formatKey({ cluster: caller, id: idOf(record) }), value };
  if (record.kind !== 'alive') return { record, put };
  return { record, put: { ...put, leaseId: leaseOf(request, context) } };
}

function checkRecords(records: readonly RegistryRecord[], context: AdmissionContext): void {
  const config = configAfter(records, context);
  const gateways = gatewaysIn(context.table);
  for (const record of records) {
    switch (record.kind) {
      case 'config':
        checkConfig(record.config, context, gateways);
        break;
      case 'bundle':
        checkBundle(record.bundle, { ...context, trustDomain: config().trustDomain });
        break;
      case 'export-slice':
        checkSlice(record.slice, config(), gateways);
        break;
      case 'synced':
      case 'alive':
      case 'trust-acks':
        break;
    }
  }
}

/** A cluster's config and its claim of a trust domain come and go together. */
function domainCommit(
  { caller, table }: AdmissionContext,
  records: readonly RegistryRecord[],
  deletes: readonly string[],
): { readonly puts: readonly Put[]; readonly deletes: readonly string[]; readonly keys: string[] } {
  for (const record of records) {
    if (record.kind !== 'config') continue;
    const key = domainKey(record.config.trustDomain);
    const puts = table.rows.has(key) ? [] : [{ key, value: Buffer.from(caller) }];
    return { puts, deletes: [], keys: [key] };
  }
  const stored = table.configs.get(caller);
  if (stored === undefined || !deletes.includes(configKey(caller))) {
    return { puts: [], deletes: [], keys: [] };
  }
  const key = domainKey(stored.trustDomain);
  return { puts: [], deletes: [key], keys: [key] };
}

function storedUnder(keys: readonly string[], { rows }: RegistryTable): Stored[] {
  return keys.flatMap(key => {
    const row = rows.get(key);
    return row?.kind === 'record' ? [{ record: row.record, bytes: row.entry.value.length }] : [];
  });
}

/** Without the slices of services that the publish does not touch, which are nearly all there is. */
function concerned(
  { caller, table }: AdmissionContext,
  services: readonly ServiceKey[],
): Map<string, KeptRecord> {
  const singles = (['config', 'bundle'] as const).map(kind => table.record(caller, { kind }));
  const slices = services.flatMap(service => table.slicesOf(caller, service));
  return new Map(
    [...singles, ...slices].flatMap(row =>
      row === undefined ? [] : [[row.entry.key, row.record] as const],
    ),
  );
}

/** None or one. */
function serviceOf(id: RecordId): ServiceKey[] {
  return id.kind === 'export-slice' ? [serviceKey(id.namespace, id.name)] : [];
}

function configKey(cluster: ClusterName): string {
  return formatKey({ cluster, id: { kind: 'config' } });
}

function leaseOf({ leaseId }: pb.PublishRequest, context: AdmissionContext): string {
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

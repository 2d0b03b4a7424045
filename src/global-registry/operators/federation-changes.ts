/** What a publish means for the federation, as entries of the journal: pure, from rows before and after. */

import { createHash } from 'node:crypto';
import { formatAddress } from '../../mesh/address.ts';
import type { ClusterConfig } from '../../mesh/cluster.ts';
import type { ClusterName, ServiceKey } from '../../mesh/names.ts';
import { keyOf } from '../../mesh/service.ts';
import type { ExportSlice } from '../../wire/registry-slices.ts';
import type { KeptRecord } from '../table/kept-record.ts';
import type { AuditChange } from './audit.ts';

/** Both by store key, of one cluster. */
export function federationChanges(
  cluster: ClusterName,
  before: ReadonlyMap<string, KeptRecord>,
  after: ReadonlyMap<string, KeptRecord>,
): AuditChange[] {
  return [
    ...changeOf(cluster, configOf(before), configOf(after), {
      added: 'cluster-joined',
      changed: 'cluster-changed',
      removed: 'cluster-left',
    }),
    ...changeOf(cluster, bundleOf(before), bundleOf(after), {
      added: 'bundle-changed',
      changed: 'bundle-changed',
      removed: 'bundle-changed',
    }),
    ...exportChanges(cluster, exportsOf(before), exportsOf(after)),
  ];
}

function exportChanges(
  cluster: ClusterName,
  before: ReadonlyMap<ServiceKey, string>,
  after: ReadonlyMap<ServiceKey, string>,
): AuditChange[] {
  const services = new Set([...before.keys(), ...after.keys()]);
  return [...services].flatMap(service =>
    changeOf(`${service} of ${cluster}`, before.get(service), after.get(service), {
      added: 'export-added',
      changed: 'export-changed',
      removed: 'export-removed',
    }),
  );
}

function changeOf(
  subject: string,
  before: string | undefined,
  after: string | undefined,
  actions: Readonly<Record<'added' | 'changed' | 'removed', AuditChange['action']>>,
): AuditChange[] {
  if (before === after) return [];
  const action =
    before === undefined ? actions.added : after === undefined ? actions.removed : actions.changed;
  return [{ action, subject, before: before ?? '', after: after ?? '' }];
}

function configOf(records: ReadonlyMap<string, KeptRecord>): string | undefined {
  for (const record of records.values()) {
    if (record.kind === 'config') return describeConfig(record.config);
  }
  return undefined;
}

function describeConfig({
  trustDomain,
  network,
  gateways,
  version,
  instance,
}: ClusterConfig): string {
  const doors = gateways.map(formatAddress).join(', ');
  return `trust domain ${trustDomain}, network ${network}, gateways ${doors || 'none'}, version ${version}, agent ${instance}`;
}

function bundleOf(records: ReadonlyMap<string, KeptRecord>): string | undefined {
  for (const record of records.values()) {
    if (record.kind !== 'bundle') continue;
    return `sha256 ${createHash('sha256').update(record.bundle.signed).digest('hex')}`;
  }
  return undefined;
}

/** Endpoints come and go; what makes a difference to the federation is the service and who may see it. */
function exportsOf(records: ReadonlyMap<string, KeptRecord>): Map<ServiceKey, string> {
  const lowest = new Map<ServiceKey, Described>();
  for (const record of records.values()) {
    if (record.kind !== 'export-slice') continue;
    const known = lowest.get(keyOf(record.slice));
    if (known === undefined || record.slice.slice < known.slice) {
      lowest.set(keyOf(record.slice), record.slice);
    }
  }
  return new Map([...lowest].map(([key, slice]) => [key, describeExport(slice)]));
}

type Described = Pick<ExportSlice, 'slice' | 'ports' | 'exportTo'>;

function describeExport({ ports, exportTo }: Described): string {
  const list = ports.map(({ port, protocol }) => `${protocol} ${port}`).join(', ');
  return `${list || 'no ports'}, to ${exportTo === 'all' ? 'all' : exportTo.join(', ') || 'nobody'}`;
}

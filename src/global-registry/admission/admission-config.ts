/** What a cluster may say of itself: its name, its trust domain and its gateways, none of them another's. */

import { formatAddress } from '../../mesh/address.ts';
import { addressScope } from '../../mesh/address-scope.ts';
import type { ClusterConfig } from '../../mesh/cluster.ts';
import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { RegistryRecord } from '../../wire/registry-records.ts';
import { domainKey } from '../keys.ts';
import type { RegistryTable } from '../table/table.ts';
import { checkAddress } from './address-rule.ts';
import type { AdmissionContext } from './admission-context.ts';

/** What the caller is once these records are applied; asking throws while it has said nothing. */
export function configAfter(
  records: readonly RegistryRecord[],
  { caller, table }: AdmissionContext,
): () => ClusterConfig {
  const [said] = records.flatMap(record => (record.kind === 'config' ? [record.config] : []));
  const config = said ?? table.configs.get(caller);
  return () => {
    if (config !== undefined) return config;
    throw new MeshError(
      'REQUEST_INVALID',
      `cluster "${caller}" has no config record yet; publish that first`,
    );
  };
}

/** Throws PERMISSION_DENIED, REQUEST_INVALID. */
export function checkConfig(
  config: ClusterConfig,
  context: AdmissionContext,
  gateways: Gateways,
): void {
  const { caller, table } = context;
  if (config.name !== caller) {
    throw denied(`config is of cluster "${config.name}", the certificate is of "${caller}"`);
  }
  const known = table.configs.get(caller)?.trustDomain;
  if (known !== undefined && known !== config.trustDomain) {
    throw denied(
      `cluster "${caller}" is registered with trust domain "${known}", not "${config.trustDomain}"; delete its records first`,
    );
  }
  checkUnclaimed(config.trustDomain, context);
  for (const gateway of config.gateways) {
    checkAddress(gateway, onLoopback(config), 'gateway');
    const owner = gateways.get(formatAddress(gateway));
    if (owner === undefined || owner === caller) continue;
    throw denied(`gateway "${formatAddress(gateway)}" is one of cluster "${owner}"'s`);
  }
}

/** Whether the cluster can only be reached from its own machine. */
export function onLoopback({ gateways }: ClusterConfig): boolean {
  return gateways.every(({ host }) => addressScope(host) === 'loopback');
}

/** Whose gateway is at an address. */
export type Gateways = ReadonlyMap<string, ClusterName>;

export function gatewaysIn(table: RegistryTable): Gateways {
  const owners = new Map<string, ClusterName>();
  for (const [cluster, { gateways }] of table.configs) {
    for (const gateway of gateways) owners.set(formatAddress(gateway), cluster);
  }
  return owners;
}

function checkUnclaimed(
  trustDomain: TrustDomain,
  { caller, clusterSet, table }: AdmissionContext,
): void {
  if (trustDomain === clusterSet) {
    throw denied(`trust domain "${trustDomain}" is the ClusterSet's own; choose another`);
  }
  const claim = table.rows.get(domainKey(trustDomain))?.entry.value;
  const claimant = claim === undefined ? undefined : Buffer.from(claim).toString();
  const holder =
    claimant ?? [...table.configs].find(([, config]) => config.trustDomain === trustDomain)?.[0];
  if (holder === undefined || holder === caller) return;
  throw denied(`trust domain "${trustDomain}" belongs to cluster "${holder}"; choose another`);
}

function denied(message: string): MeshError {
  return new MeshError('PERMISSION_DENIED', message);
}

/** What a cluster may export: names that are free, endpoints that are its own. */

import { formatAddress } from '../../mesh/address.ts';
import type { ClusterConfig } from '../../mesh/cluster.ts';
import { MeshError } from '../../mesh/errors.ts';
import { isReservedService } from '../../mesh/reserved-names.ts';
import { trustDomainOf } from '../../mesh/spiffe-id.ts';
import type { ExportSlice } from '../../wire/registry-slices.ts';
import { checkAddress } from './address-rule.ts';
import { type Gateways, onLoopback } from './admission-config.ts';

/** Throws PERMISSION_DENIED, REQUEST_INVALID. */
export function checkSlice(slice: ExportSlice, own: ClusterConfig, gateways: Gateways): void {
  const { namespace, name, endpoints } = slice;
  if (isReservedService(namespace, name)) {
    throw denied(`service "${namespace}/${name}" is reserved; export it under another name`);
  }
  for (const { workload, spiffeId, address } of endpoints) {
    if (trustDomainOf(spiffeId) !== own.trustDomain) {
      throw denied(
        `endpoint "${workload}" has identity "${spiffeId}" outside trust domain "${own.trustDomain}"`,
      );
    }
    checkAddress(address, onLoopback(own), `endpoint "${workload}" at`);
    const owner = gateways.get(formatAddress(address));
    if (owner === undefined || owner === own.name) continue;
    throw denied(
      `endpoint "${workload}" at "${formatAddress(address)}" is the gateway of cluster "${owner}"`,
    );
  }
}

function denied(message: string): MeshError {
  return new MeshError('PERMISSION_DENIED', message);
}

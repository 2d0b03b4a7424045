/** Slices of an exported service, the records there are most of; see registry-records.ts. */

import { LOAD_MAX } from '../mesh/load.ts';
import {
  type ClusterName,
  type Namespace,
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
  type ServiceName,
} from '../mesh/names.ts';
import type { Endpoint, ExportTo, ServicePort } from '../mesh/service.ts';
import { requireSpiffeId } from '../mesh/spiffe-id.ts';
import type * as pb from './generated/isthmus/registry/v1/registry.ts';
import {
  atMost,
  decodeAddress,
  decodeLocality,
  invalid,
  portNumber,
  present,
  shown,
} from './registry-fields.ts';

/**
 * A service with more endpoints is published as several slices, numbered from 0. What one endpoint's change
 * weighs, to everyone who is told of it, is its slice (docs/decisions/0057).
 */
export const SLICE_ENDPOINTS = 10;
/** Of a slice as it is read: earlier versions write bigger ones. */
export const SLICE_ENDPOINTS_MAX = 100;
/** Of one service: all the endpoints that a cluster may export, in slices of ten. */
const SLICES_MAX = 5_000;
const PORTS_MAX = 32;
const EXPORT_TO_MAX = 1_000;

/** At most SLICE_ENDPOINTS_MAX endpoints of one exported service; every slice repeats the ports. */
export interface ExportSlice {
  readonly namespace: Namespace;
  readonly name: ServiceName;
  readonly slice: number;
  readonly ports: readonly ServicePort[];
  readonly exportTo: ExportTo;
  readonly endpoints: readonly Endpoint[];
}

export function encodeSlice({ namespace, name, slice, ...rest }: ExportSlice): pb.ExportSlice {
  const { ports, exportTo, endpoints } = rest;
  return {
    id: { namespace, service: name, slice },
    ports: [...ports],
    exportTo: exportTo === 'all' ? undefined : { clusters: [...exportTo] },
    endpoints: endpoints.map(({ workload, spiffeId, locality, address, capacity, load }) => ({
      workload,
      spiffeId,
      locality,
      address,
      capacity,
      load,
    })),
  };
}

export function decodeSlice(slice: pb.ExportSlice, cluster: ClusterName): ExportSlice {
  return {
    ...decodeSliceId(slice.id),
    ports: atMost('ports', PORTS_MAX, slice.ports).map(decodePort),
    exportTo:
      slice.exportTo === undefined
        ? 'all'
        : atMost('clusters to export to', EXPORT_TO_MAX, slice.exportTo.clusters).map(
            parseClusterName,
          ),
    endpoints: atMost('endpoints', SLICE_ENDPOINTS_MAX, slice.endpoints).map(endpoint => ({
      workload: parseWorkloadName(endpoint.workload),
      cluster,
      spiffeId: requireSpiffeId(endpoint.spiffeId),
      locality: decodeLocality(endpoint.locality),
      address: decodeAddress(endpoint.address),
      ...decodeLoad(endpoint),
    })),
  };
}

function decodeLoad({ capacity, load }: pb.Endpoint): Pick<Endpoint, 'capacity' | 'load'> {
  if (capacity === 0) throw invalid('capacity "0" must be at least 1');
  if (load !== undefined && load > LOAD_MAX)
    throw invalid(`load "${load}" must be at most ${LOAD_MAX}`);
  return {
    ...(capacity === undefined ? {} : { capacity }),
    ...(load === undefined ? {} : { load }),
  };
}

export function decodeSliceId(
  id: pb.SliceId | undefined,
): Pick<ExportSlice, 'namespace' | 'name' | 'slice'> {
  const { namespace, service, slice } = present('slice id', id);
  if (slice >= SLICES_MAX) throw invalid(`slice "${slice}" must be below ${SLICES_MAX}`);
  return { namespace: parseNamespace(namespace), name: parseServiceName(service), slice };
}

function decodePort({ port, protocol }: pb.ServicePort): ServicePort {
  if (protocol !== 'http' && protocol !== 'tcp') {
    throw invalid(`protocol ${shown(protocol)} must be "http" or "tcp"`);
  }
  return { port: portNumber(port), protocol };
}

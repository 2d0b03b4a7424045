/** The sidecar's configuration file (clusters/<cluster>/sidecars/<workload>.yaml). */

import * as v from 'valibot';
import { formatAddress, parseAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError } from '../mesh/errors.ts';
import { parseServiceKey } from '../mesh/names.ts';
import { parseServiceHost, serviceHost } from '../mesh/service.ts';
import { type UpstreamName, upstreamName } from '../mesh/upstream.ts';
import {
  address,
  clusterName,
  duration,
  namespace,
  object,
  parsed,
  port,
  serviceAccount,
  trustDomain,
  workloadName,
} from '../runtime/config.ts';

const inboundService = object({
  /** `<namespace>/<name>`. */
  service: parsed(parseServiceKey),
  port: port(),
  protocol: v.picklist(['http', 'tcp']),
  /** Where the workload itself listens. */
  application: address(),
});

const outboundTcp = object({
  listen: address(),
  /** `<host>:<port>` of a service of the mesh. */
  service: parsed(parseServiceAddress),
});

const entries = object({
  cluster: clusterName(),
  trustDomain: trustDomain(),
  workload: object({
    name: workloadName(),
    namespace: namespace(),
    serviceAccount: serviceAccount(),
  }),
  locality: object({ region: v.string(), zone: v.string() }),
  agent: object({
    control: address(),
    join: address(),
    /** File with a service account token, shown where there is no join token. */
    kubernetesToken: v.optional(v.pipe(v.string(), v.nonEmpty('must be the path of a file'))),
  }),
  inbound: object({ listen: address(), services: v.array(inboundService) }),
  outbound: object({ http: address(), tcp: v.optional(v.array(outboundTcp), []) }),
  /** The SPIFFE Workload API, for whoever may open this Unix socket (0660). */
  workloadApi: v.optional(
    object({ socket: v.pipe(v.string(), v.nonEmpty('must be the path of a socket')) }),
  ),
  admin: address(),
  stateDir: v.pipe(v.string(), v.nonEmpty('must name a directory')),
  /** How long a stop waits for calls in flight. */
  drain: v.optional(duration()),
});

export const sidecarConfig = v.pipe(
  entries,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const message of [...clashes(dataset.value), ...duplicates(dataset.value)]) {
      addIssue({ message });
    }
  }),
);

export type SidecarConfig = v.InferOutput<typeof sidecarConfig>;

function clashes(config: v.InferOutput<typeof entries>): readonly string[] {
  const listeners: readonly (readonly [string, SocketAddress])[] = [
    ['inbound.listen', config.inbound.listen],
    ['outbound.http', config.outbound.http],
    ...config.outbound.tcp.map((tcp, i) => [`outbound.tcp.${i}.listen`, tcp.listen] as const),
    ['admin', config.admin],
  ];
  return listeners.flatMap(([path, { host, port }], i) => {
    const earlier = listeners
      .slice(0, i)
      .find(([, other]) => port !== 0 && other.port === port && other.host === host);
    return earlier === undefined
      ? []
      : [`${path} and ${earlier[0]} are both ${formatAddress({ host, port })}; use another port`];
  });
}

function duplicates(config: v.InferOutput<typeof entries>): readonly string[] {
  const seen = new Set<string>();
  return config.inbound.services.flatMap(({ service, port }, i) => {
    const key = `${service.namespace}/${service.name} port ${port}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [`inbound.services.${i}: ${key} is configured twice`];
  });
}

function parseServiceAddress(value: string): UpstreamName {
  const { host, port } = parseAddress(value);
  const service = parseServiceHost(host);
  if (service === undefined) {
    throw new MeshError(
      'NAME_INVALID',
      'must be a service of the mesh, such as payments.shop.svc.clusterset.local:80',
    );
  }
  return upstreamName(serviceHost(service.scope, service.namespace, service.name), port);
}

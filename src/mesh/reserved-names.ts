/** Services that no cluster may export: what Kubernetes and the mesh keep for themselves. */

import type { Namespace, ServiceName } from './names.ts';

const NAMESPACES: ReadonlySet<string> = new Set([
  'isthmus-system',
  'kube-node-lease',
  'kube-public',
  'kube-system',
]);
const SERVICES: ReadonlySet<string> = new Set(['default/kubernetes']);

export function isReservedService(namespace: Namespace, name: ServiceName): boolean {
  return NAMESPACES.has(namespace) || SERVICES.has(`${namespace}/${name}`);
}

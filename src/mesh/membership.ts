/**
 * Which of the registry's clusters this cluster believes, and with which roots.
 *
 * The registry is not trusted to say who owns a trust domain: the first cluster seen with one keeps it,
 * our own is never anybody else's, and a bundle's sequence never goes back. What is refused is reported
 * with its reason, and refusing one cluster never touches another.
 */

import type { ClusterRecord } from './cluster.ts';
import { sameValue } from './collection.ts';
import type { ClusterName } from './names.ts';
import { type TrustDomain, trustDomainOf } from './spiffe-id.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** What was believed before: who holds a trust domain, and the newest bundle seen of it. */
export type TrustMemory = ReadonlyMap<
  TrustDomain,
  { readonly cluster: ClusterName; readonly bundle: TrustBundle }
>;

export interface Refusal {
  readonly cluster: ClusterName;
  readonly kind:
    | 'trust-domain-taken'
    | 'bundle-of-other-domain'
    | 'bundle-older'
    | 'endpoint-of-other-domain';
  readonly message: string;
}

export interface Membership {
  /** Records as believed: with the newest good bundle, without endpoints of foreign identities. */
  readonly members: ReadonlyMap<ClusterName, ClusterRecord>;
  readonly refusals: readonly Refusal[];
  readonly memory: TrustMemory;
}

export function admitMembers(
  own: { readonly name: ClusterName; readonly trustDomain: TrustDomain },
  records: Iterable<ClusterRecord>,
  memory: TrustMemory,
): Membership {
  const members = new Map<ClusterName, ClusterRecord>();
  const refusals: Refusal[] = [];
  const next = new Map(memory);
  const byName = [...records].sort((a, b) => (a.config.name < b.config.name ? -1 : 1));
  for (const record of byName) {
    const { name, trustDomain } = record.config;
    if (name === own.name) continue;
    const refuse = (kind: Refusal['kind'], message: string): void => {
      refusals.push({ cluster: name, kind, message });
    };
    const holder = trustDomain === own.trustDomain ? own.name : next.get(trustDomain)?.cluster;
    if (holder !== undefined && holder !== name) {
      refuse('trust-domain-taken', `trust domain "${trustDomain}" belongs to cluster "${holder}"`);
      continue;
    }
    if (record.bundle.trustDomain !== trustDomain) {
      refuse(
        'bundle-of-other-domain',
        `bundle is of trust domain "${record.bundle.trustDomain}", not "${trustDomain}"`,
      );
      continue;
    }
    const known = next.get(trustDomain)?.bundle;
    const older = known !== undefined && goesBack(known, record.bundle);
    if (older) {
      refuse(
        'bundle-older',
        `bundle of "${trustDomain}" with sequence ${record.bundle.sequence} does not replace the one with ${known.sequence}`,
      );
    }
    const bundle = older ? known : record.bundle;
    next.set(trustDomain, { cluster: name, bundle });
    const exports = record.exports.map(service => ({
      ...service,
      endpoints: service.endpoints.filter(({ spiffeId, workload }) => {
        if (trustDomainOf(spiffeId) === trustDomain) return true;
        refuse(
          'endpoint-of-other-domain',
          `endpoint "${workload}" of ${service.namespace}/${service.name} claims "${spiffeId}", outside "${trustDomain}"`,
        );
        return false;
      }),
    }));
    members.set(name, { ...record, bundle, exports });
  }
  return { members, refusals, memory: next };
}

/** Equal sequences must mean equal bundles (SPIFFE Trust Domain and Bundle §4.1.1). */
function goesBack(known: TrustBundle, offered: TrustBundle): boolean {
  if (offered.sequence !== known.sequence) return offered.sequence < known.sequence;
  return !sameValue(offered, known);
}

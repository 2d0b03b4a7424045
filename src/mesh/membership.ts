/**
 * Which of the registry's clusters this cluster believes, and with which roots.
 *
 * The registry is not trusted to say who owns a trust domain, nor what its roots are: the first cluster
 * vouched for with one keeps it, our own is never anybody else's, and a bundle is replaced only by what may
 * follow it (bundle-succession.ts). What is refused is reported with its reason and the last good bundle
 * stays, also when the registry stops showing one; refusing one cluster never touches another.
 */

import {
  type BundleProofs,
  type HeldBundle,
  type Succession,
  succeed,
} from './bundle-succession.ts';
import type { ClaimedBundle, ClusterClaim, ClusterRecord } from './cluster.ts';
import type { ClusterRevocation } from './cluster-revocation.ts';
import type { ClusterName } from './names.ts';
import type { ExportedService } from './service.ts';
import type { BundleOffer, SignedBundle } from './signed-bundle.ts';
import { type TrustDomain, trustDomainOf } from './spiffe-id.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** What was believed before. It only grows: forgetting would mean a first contact again. */
export interface TrustMemory {
  /** By trust domain: whose it is, and the newest version seen. */
  readonly bundles: ReadonlyMap<TrustDomain, RememberedBundle>;
  /** The newest statement about each cluster. */
  readonly revocations: ReadonlyMap<ClusterName, ClusterRevocation>;
}

export interface RememberedBundle extends HeldBundle {
  readonly cluster: ClusterName;
}

export const NO_MEMORY: TrustMemory = { bundles: new Map(), revocations: new Map() };

type SuccessionRefusal = (Succession & { kind: 'refused' })['reason'];

export interface Refusal {
  readonly cluster: ClusterName;
  readonly kind:
    | SuccessionRefusal
    | 'trust-domain-taken'
    | 'bundle-unreadable'
    | 'bundle-missing'
    | 'bundle-of-other-domain'
    | 'bundle-of-other-cluster'
    | 'endpoint-of-other-domain'
    | 'revocation-not-believed';
  readonly message: string;
}

export interface Membership {
  /** Records as believed: with the newest good bundle, without endpoints of foreign identities. */
  readonly members: ReadonlyMap<ClusterName, ClusterRecord>;
  readonly refusals: readonly Refusal[];
  readonly memory: TrustMemory;
}

export interface BundleClaim {
  readonly name: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly bundle: ClaimedBundle;
}

export interface Self {
  readonly name: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly clusterSet: TrustDomain;
}

export function admitMembers(
  own: Self,
  claims: Iterable<ClusterClaim>,
  memory: TrustMemory,
  proofs: BundleProofs,
): Membership {
  const members = new Map<ClusterName, ClusterRecord>();
  const refusals: Refusal[] = [];
  const bundles = new Map(memory.bundles);
  const byName = [...claims].sort((a, b) => (a.config.name < b.config.name ? -1 : 1));
  for (const claim of byName) {
    const { name, trustDomain } = claim.config;
    if (name === own.name || isRevoked(memory, name)) continue;
    const refuse = (kind: Refusal['kind'], message: string): void => {
      refusals.push({ cluster: name, kind, message });
    };
    const known = bundles.get(trustDomain);
    const holder = reservedFor(trustDomain, own) ?? known?.cluster;
    if (holder !== undefined && holder !== name) {
      refuse('trust-domain-taken', `trust domain "${trustDomain}" belongs to "${holder}"`);
      continue;
    }
    const offered = { name, trustDomain, bundle: claim.bundle };
    const signed = acceptBundle(offered, own.clusterSet, known, proofs, refuse);
    if (signed === undefined) continue;
    const successor = signed === known?.signed ? known.successor : 'roots';
    bundles.set(trustDomain, { cluster: name, signed, successor });
    const exports = ownExports(claim.exports, trustDomain, message =>
      refuse('endpoint-of-other-domain', message),
    );
    members.set(name, { ...claim, bundle: signed.bundle, exports });
  }
  return { members, refusals, memory: { ...memory, bundles } };
}

/** The roots in force, also of clusters that the registry shows no more; a revoked cluster has none. */
export function rememberedBundles(memory: TrustMemory): [TrustDomain, TrustBundle][] {
  return [...memory.bundles].map(([trustDomain, { cluster, signed }]) => [
    trustDomain,
    isRevoked(memory, cluster)
      ? { ...signed.bundle, x509Authorities: [], jwtAuthorities: [] }
      : signed.bundle,
  ]);
}

/**
 * The newest statement about a cluster counts, in whatever order they come. A restored cluster may have
 * lost its roots: its next version is vouched for by its membership, its numbers still go on.
 */
export function rememberRevocations(
  memory: TrustMemory,
  statements: Iterable<ClusterRevocation>,
): TrustMemory {
  const revocations = new Map(memory.revocations);
  const bundles = new Map(memory.bundles);
  for (const statement of statements) {
    const { cluster, issuedAtMs, revoked } = statement;
    if (issuedAtMs <= (revocations.get(cluster)?.issuedAtMs ?? 0)) continue;
    revocations.set(cluster, statement);
    if (revoked) continue;
    for (const [trustDomain, remembered] of bundles) {
      if (remembered.cluster !== cluster) continue;
      bundles.set(trustDomain, { ...remembered, successor: 'membership' });
    }
  }
  return { bundles, revocations };
}

function isRevoked({ revocations }: TrustMemory, cluster: ClusterName): boolean {
  return revocations.get(cluster)?.revoked === true;
}

function reservedFor(trustDomain: TrustDomain, own: Self): string | undefined {
  if (trustDomain === own.trustDomain) return own.name;
  return trustDomain === own.clusterSet ? 'the ClusterSet' : undefined;
}

/** What may be believed of a cluster's bundle: the offered version, or the last good one. */
export function acceptBundle(
  { name, trustDomain, bundle }: BundleClaim,
  clusterSet: TrustDomain,
  known: HeldBundle | undefined,
  proofs: BundleProofs,
  refuse: (kind: Refusal['kind'], message: string) => void,
): SignedBundle | undefined {
  const offer = readableOffer(bundle, refuse);
  if (offer === undefined) return known?.signed;
  const { current } = offer;
  if (current.cluster !== name || current.clusterSet !== clusterSet) {
    const found = `"${current.cluster}" in ClusterSet "${current.clusterSet}"`;
    refuse('bundle-of-other-cluster', `bundle was signed for cluster ${found}`);
    return known?.signed;
  }
  if (current.bundle.trustDomain !== trustDomain) {
    const found = `"${current.bundle.trustDomain}", not "${trustDomain}"`;
    refuse('bundle-of-other-domain', `bundle is of trust domain ${found}`);
    return known?.signed;
  }
  const predecessors = offer.predecessors.filter(
    each =>
      each.cluster === name &&
      each.clusterSet === clusterSet &&
      each.bundle.trustDomain === trustDomain,
  );
  const succession = succeed(known, { current, predecessors }, proofs);
  if (succession.kind === 'accepted') return succession.signed;
  refuse(succession.reason, succession.message);
  return known?.signed;
}

function readableOffer(
  bundle: ClaimedBundle,
  refuse: (kind: Refusal['kind'], message: string) => void,
): BundleOffer | undefined {
  if (bundle.kind === 'offered') return bundle.offer;
  refuse(`bundle-${bundle.kind}`, bundle.problem);
  return undefined;
}

/** Found to be of one trust domain: looked at once, as every claim of any cluster looks at all of them. */
const sound = new WeakMap<readonly ExportedService[] | ExportedService, TrustDomain>();

/** Without endpoints of other trust domains; what has none of them is kept as it is. */
function ownExports(
  exports: readonly ExportedService[],
  trustDomain: TrustDomain,
  refuse: (message: string) => void,
): readonly ExportedService[] {
  if (sound.get(exports) === trustDomain) return exports;
  const own = exports.map(service => {
    if (sound.get(service) === trustDomain) return service;
    const endpoints = service.endpoints.filter(({ spiffeId, workload }) => {
      if (trustDomainOf(spiffeId) === trustDomain) return true;
      refuse(
        `endpoint "${workload}" of ${service.namespace}/${service.name} claims "${spiffeId}", outside "${trustDomain}"`,
      );
      return false;
    });
    if (endpoints.length < service.endpoints.length) return { ...service, endpoints };
    sound.set(service, trustDomain);
    return service;
  });
  if (own.some((service, i) => service !== exports[i])) return own;
  sound.set(exports, trustDomain);
  return exports;
}

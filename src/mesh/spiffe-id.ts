/**
 * SPIFFE IDs, by the grammar of the SPIFFE-ID specification §2 and nothing looser.
 *
 * Never `new URL()`: URL parsers normalise dot segments and re-read hosts, so two parties could see
 * two identities in one string. Workload IDs here are `spiffe://<trust-domain>/ns/<ns>/sa/<sa>`.
 */

import { MeshError } from './errors.ts';
import type { Branded, ClusterName, Namespace, ServiceAccount } from './names.ts';

export type TrustDomain = Branded<string, 'TrustDomain'>;
export type SpiffeId = Branded<string, 'SpiffeId'>;

/** SPIFFE-ID §2.3: implementations support at least 2048 bytes and must not make longer ones. */
const SPIFFE_ID_BYTES_MAX = 2048;
/** SPIFFE-ID §2.1. */
const TRUST_DOMAIN_BYTES_MAX = 255;

const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const PATH_SEGMENT = /^[a-zA-Z0-9._-]+$/;
const SCHEME = 'spiffe://';

export type ParsedSpiffeId =
  | {
      readonly kind: 'ok';
      readonly id: SpiffeId;
      readonly trustDomain: TrustDomain;
      readonly path: string;
    }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Never throws: what peers present is data. An ID without a path is legal (a trust domain's own). */
export function parseSpiffeId(text: string): ParsedSpiffeId {
  if (text.length > SPIFFE_ID_BYTES_MAX) return invalid(`longer than ${SPIFFE_ID_BYTES_MAX} bytes`);
  if (!text.startsWith(SCHEME)) return invalid('scheme is not "spiffe://"');
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? '' : rest.slice(slash);
  if (trustDomain === '') return invalid('trust domain is empty');
  if (trustDomain.length > TRUST_DOMAIN_BYTES_MAX) {
    return invalid(`trust domain is longer than ${TRUST_DOMAIN_BYTES_MAX} bytes`);
  }
  if (!TRUST_DOMAIN.test(trustDomain)) {
    return invalid('trust domain has a character other than a-z, 0-9, ".", "-", "_"');
  }
  if (path !== '') {
    for (const segment of path.slice(1).split('/')) {
      if (segment === '') return invalid('path has an empty segment or a trailing "/"');
      if (segment === '.' || segment === '..') return invalid('path has a relative segment');
      if (!PATH_SEGMENT.test(segment)) {
        return invalid('path has a character other than a-z, A-Z, 0-9, ".", "-", "_"');
      }
    }
  }
  return { kind: 'ok', id: text as SpiffeId, trustDomain: trustDomain as TrustDomain, path };
}

/** For configuration and our own records; throws NAME_INVALID. */
export function requireSpiffeId(text: string): SpiffeId {
  const parsed = parseSpiffeId(text);
  if (parsed.kind === 'ok') return parsed.id;
  throw new MeshError(
    'NAME_INVALID',
    `SPIFFE ID ${JSON.stringify(text.slice(0, 200))}: ${parsed.reason}`,
  );
}

/** Throws NAME_INVALID. */
export function parseTrustDomain(text: string): TrustDomain {
  if (text !== '' && text.length <= TRUST_DOMAIN_BYTES_MAX && TRUST_DOMAIN.test(text)) {
    return text as TrustDomain;
  }
  throw new MeshError(
    'NAME_INVALID',
    `trust domain ${JSON.stringify(text.slice(0, 200))} must be 1 to ${TRUST_DOMAIN_BYTES_MAX} characters of a-z, 0-9, ".", "-", "_"`,
  );
}

export function trustDomainOf(id: SpiffeId): TrustDomain {
  const end = id.indexOf('/', SCHEME.length);
  return (end < 0 ? id.slice(SCHEME.length) : id.slice(SCHEME.length, end)) as TrustDomain;
}

export function workloadId(
  trustDomain: TrustDomain,
  namespace: Namespace,
  serviceAccount: ServiceAccount,
): SpiffeId {
  return `${SCHEME}${trustDomain}/ns/${namespace}/sa/${serviceAccount}` as SpiffeId;
}

/** A member cluster's identity towards the registry, in the ClusterSet's own trust domain. */
export function memberId(clusterSet: TrustDomain, cluster: ClusterName): SpiffeId {
  return `${SCHEME}${clusterSet}/cluster/${cluster}` as SpiffeId;
}

export function registryId(clusterSet: TrustDomain): SpiffeId {
  return `${SCHEME}${clusterSet}/registry` as SpiffeId;
}

/** The cluster of a member identity, or undefined for any other ID. */
export function memberClusterOf(id: SpiffeId): ClusterName | undefined {
  const match = /^spiffe:\/\/[^/]+\/cluster\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/.exec(id);
  return match?.[1] as ClusterName | undefined;
}

function invalid(reason: string): ParsedSpiffeId {
  return { kind: 'invalid', reason };
}

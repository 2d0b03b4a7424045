/** The part of `agent.yaml` about trust domains outside the ClusterSet (SPIFFE Federation §5). */

import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import type { Guests } from '../../mesh/callers.ts';
import { MeshError } from '../../mesh/errors.ts';
import { parseServiceKey } from '../../mesh/names.ts';
import { keyOf } from '../../mesh/service.ts';
import { type TrustDomain, trustDomainOf } from '../../mesh/spiffe-id.ts';
import { address, object, parsed, spiffeId, trustDomain } from '../../runtime/config.ts';
import { FEDERATIONS_MAX } from '../limits.ts';

const URL_MESSAGE = 'must be an https:// URL without user, query or fragment';
const path = () => v.pipe(v.string(), v.nonEmpty('must be the path of a file'));

/** Where this cluster's own bundle is served to others. */
export const bundleEndpointSchema = v.variant('profile', [
  /** Under the agent's own SVID, `spiffe://<trust domain>/ns/isthmus-system/sa/cluster-agent`. */
  object({ profile: v.literal('https_spiffe'), listen: address() }),
  /** Under a certificate of the web; both files are read again when they change. */
  object({
    profile: v.literal('https_web'),
    listen: address(),
    certificate: path(),
    key: path(),
  }),
]);

const foreign = {
  trustDomain: trustDomain(),
  url: v.pipe(v.string(), v.check(isEndpointUrl, URL_MESSAGE)),
  /** Services of this cluster, exported or not, that its identities may call. */
  mayCall: v.optional(v.array(parsed(parseServiceKey)), []),
};

/** Whose bundles are fetched, and how their endpoints prove who they are. */
export const federatesWithSchema = v.pipe(
  v.array(
    v.variant('profile', [
      object({
        ...foreign,
        profile: v.literal('https_spiffe'),
        endpointSpiffeId: spiffeId(),
        /** SPIFFE JSON: the first bundle, got from the other side by hand. */
        bundle: path(),
      }),
      object({
        ...foreign,
        profile: v.literal('https_web'),
        /** PEM: roots to trust for this server instead of the web's. */
        roots: v.optional(path()),
      }),
    ]),
  ),
  v.maxLength(FEDERATIONS_MAX, `must have at most ${FEDERATIONS_MAX} entries`),
);

export type BundleEndpointConfig = v.InferOutput<typeof bundleEndpointSchema>;
export type FederationConfig = v.InferOutput<typeof federatesWithSchema>[number];

/** Of the agent's configuration. */
export interface FederationPart {
  readonly trustDomain: TrustDomain;
  readonly clusterSet: TrustDomain;
  readonly bundleEndpoint?: BundleEndpointConfig | undefined;
  readonly federatesWith: readonly FederationConfig[];
}

/** SPIFFE Federation §5.1.1, §5.2.1: https, nothing but host, port and path. */
function isEndpointUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.username === '' && url.password === '' && !/[?#@\\\s]/.test(text);
  return url.protocol === 'https:' && bare;
}

/** With its files named from where the configuration is. Throws CONFIG_INVALID. */
export function federationOf(
  { bundleEndpoint, federatesWith, ...own }: FederationPart,
  configFile: string,
): { endpoint: BundleEndpointConfig | undefined; federations: readonly FederationConfig[] } {
  requireForeign(federatesWith, own);
  const from = (file: string): string => resolve(dirname(configFile), file);
  return {
    endpoint:
      bundleEndpoint?.profile === 'https_web'
        ? {
            ...bundleEndpoint,
            certificate: from(bundleEndpoint.certificate),
            key: from(bundleEndpoint.key),
          }
        : bundleEndpoint,
    federations: federatesWith.map(each => {
      if (each.profile === 'https_spiffe') return { ...each, bundle: from(each.bundle) };
      return each.roots === undefined ? each : { ...each, roots: from(each.roots) };
    }),
  };
}

export function guestsOf(federations: readonly FederationConfig[]): Guests {
  return new Map(
    federations.map(({ trustDomain, mayCall }) => [trustDomain, new Set(mayCall.map(keyOf))]),
  );
}

/** What one entry alone cannot know. */
function requireForeign(
  federations: readonly FederationConfig[],
  own: { readonly trustDomain: TrustDomain; readonly clusterSet: TrustDomain },
): void {
  const seen = new Set<TrustDomain>([own.trustDomain, own.clusterSet]);
  for (const [index, each] of federations.entries()) {
    const where = `federatesWith.${index}`;
    if (seen.has(each.trustDomain)) {
      const whose = 'is named twice, or is this ClusterSet or cluster itself';
      throw invalid(`${where}.trustDomain: "${each.trustDomain}" ${whose}`);
    }
    seen.add(each.trustDomain);
    if (
      each.profile === 'https_spiffe' &&
      trustDomainOf(each.endpointSpiffeId) !== each.trustDomain
    ) {
      throw invalid(`${where}.endpointSpiffeId: must be in trust domain "${each.trustDomain}"`);
    }
  }
}

function invalid(message: string): MeshError {
  return new MeshError('CONFIG_INVALID', message);
}

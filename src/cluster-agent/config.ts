/** `clusters/<name>/agent.yaml`: one cluster's place in the ClusterSet and its agent's addresses. */

import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { address, clusterName, duration, object, trustDomain } from '../runtime/config.ts';
import { WORKLOAD_TTL_MS_DEFAULT, WORKLOAD_TTL_MS_MAX } from '../trust-federation/limits.ts';
import { bundleEndpointSchema, federatesWithSchema } from './federation/config.ts';

const place = () => v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,63}$/, PLACE_MESSAGE));
const SERVER_MESSAGE = 'must be https://host:port';
const PLACE_MESSAGE = 'must be 1 to 63 letters, digits, ".", "_" or "-"';

export const agentConfigSchema = object({
  cluster: clusterName(),
  trustDomain: trustDomain(),
  locality: object({ region: place(), zone: place() }),
  /** Clusters of one network reach each other's sidecars without gateways. Default: one's own. */
  network: v.optional(place()),
  clusterSet: trustDomain(),
  registry: v.pipe(v.array(address()), v.minLength(1, 'must have at least one address')),
  gateways: v.pipe(v.array(address()), v.maxLength(16, 'must have at most 16 addresses')),
  /** Relative to the configuration file. */
  services: v.pipe(v.string(), v.nonEmpty('must be the path of a file')),
  /** How this cluster calls services; relative to the configuration file. */
  policies: v.optional(v.pipe(v.string(), v.nonEmpty('must be the path of a file'))),
  control: address(),
  join: address(),
  /** Proxies may show their service account tokens instead of join tokens. Files: relative to this one. */
  kubernetes: v.optional(
    object({
      server: v.pipe(v.string(), v.regex(/^https:\/\/[^/?#@]+$/, SERVER_MESSAGE)),
      /** PEM, the API server's CA. */
      ca: v.pipe(v.string(), v.nonEmpty('must be the path of a file')),
      /** The agent's own token, which may create TokenReviews. */
      token: v.pipe(v.string(), v.nonEmpty('must be the path of a file')),
      /** What the proxies' tokens are made for. */
      audience: v.optional(v.pipe(v.string(), v.nonEmpty('must not be empty')), 'isthmus'),
    }),
  ),
  admin: address(),
  stateDir: v.pipe(v.string(), v.nonEmpty('must be the path of a directory')),
  svidTtl: v.optional(
    v.pipe(duration(), v.maxValue(WORKLOAD_TTL_MS_MAX, 'must be at most 24h')),
    `${WORKLOAD_TTL_MS_DEFAULT / 60_000}m`,
  ),
  /** Where this cluster's trust bundle is served to others than the ClusterSet. */
  bundleEndpoint: v.optional(bundleEndpointSchema),
  /** Trust domains outside the ClusterSet whose identities are believed. */
  federatesWith: v.optional(federatesWithSchema, []),
});

export type AgentConfig = v.InferOutput<typeof agentConfigSchema>;

/** The services file, wherever the configuration file is. */
export function servicesFileOf(config: AgentConfig, configFile: string): string {
  return resolve(dirname(configFile), config.services);
}

/** The policies file, if there is to be one. */
export function policiesFileOf(config: AgentConfig, configFile: string): string | undefined {
  return config.policies === undefined ? undefined : resolve(dirname(configFile), config.policies);
}

/** What a TokenReview needs, its files wherever the configuration file is. */
export function kubernetesOf(
  { kubernetes }: AgentConfig,
  configFile: string,
): NonNullable<AgentConfig['kubernetes']> | undefined {
  if (kubernetes === undefined) return undefined;
  const at = (file: string): string => resolve(dirname(configFile), file);
  return { ...kubernetes, ca: at(kubernetes.ca), token: at(kubernetes.token) };
}

/** The registry's configuration file (`clusters/registry.yaml` is an example). */

import * as v from 'valibot';
import { address, object, trustDomain } from '../runtime/config.ts';

export const registryConfigSchema = object({
  clusterSet: trustDomain(),
  /** Where agents connect. */
  listen: address(),
  /** Metrics, readiness and debug; bind it to loopback. */
  admin: address(),
  stateDir: v.string(),
  /** Where new clusters redeem their tokens; needs the issuer that `isthmus init` makes for the registry. */
  join: v.optional(
    object({
      listen: address(),
      /** As tokens name them, where that is not what `listen` says. */
      addresses: v.optional(
        v.pipe(v.array(address()), v.minLength(1, 'must have at least one address')),
      ),
    }),
  ),
  store: v.variant('kind', [
    /** In this process, under `<stateDir>/store`. */
    object({ kind: v.literal('embedded') }),
    object({
      kind: v.literal('etcd'),
      endpoints: v.pipe(v.array(address()), v.minLength(1, 'must name at least one endpoint')),
    }),
  ]),
});

export type RegistryConfig = v.InferOutput<typeof registryConfigSchema>;

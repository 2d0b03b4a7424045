/** The registry's configuration file (`clusters/registry.yaml` is an example). */

import * as v from 'valibot';
import { addressScope } from '../mesh/address-scope.ts';
import { address, object, trustDomain } from '../runtime/config.ts';

const path = () => v.pipe(v.string(), v.nonEmpty('must be the path of a file'));

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
    v.pipe(
      object({
        kind: v.literal('etcd'),
        endpoints: v.pipe(v.array(address()), v.minLength(1, 'must name at least one endpoint')),
        /** PEM files, relative to this file. */
        tls: v.optional(object({ ca: path(), cert: path(), key: path() })),
      }),
      // Whoever reaches etcd can read and change everything, whatever its own access control says.
      v.check(
        ({ endpoints, tls }) =>
          tls !== undefined || endpoints.every(({ host }) => addressScope(host) === 'loopback'),
        'must have tls: etcd on another machine is reached over the network',
      ),
    ),
  ]),
});

export type RegistryConfig = v.InferOutput<typeof registryConfigSchema>;

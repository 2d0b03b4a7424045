/** The gateway's configuration file (clusters/<cluster>/gateway.yaml). */

import * as v from 'valibot';
import {
  address,
  clusterName,
  duration,
  object,
  trustDomain,
  workloadName,
} from '../runtime/config.ts';

export const gatewayConfig = object({
  cluster: clusterName(),
  trustDomain: trustDomain(),
  name: workloadName(),
  agent: object({
    control: address(),
    join: address(),
    /** File with a service account token, shown where there is no join token. */
    kubernetesToken: v.optional(v.pipe(v.string(), v.nonEmpty('must be the path of a file'))),
  }),
  listen: address(),
  admin: address(),
  stateDir: v.pipe(v.string(), v.nonEmpty('must name a directory')),
  /** How long a stop waits for open connections. */
  drain: v.optional(duration()),
});

export type GatewayConfig = v.InferOutput<typeof gatewayConfig>;

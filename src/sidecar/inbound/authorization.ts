/**
 * Whether a verified caller may have its request served: the one place where that is decided.
 *
 * Asked for each CONNECT before the application is connected to, and for each HTTP request of it with its
 * head parsed as it will be forwarded. Today's rule reads neither: the own cluster may call, and clusters
 * that the service is exported to. Whatever is not known to be allowed is denied.
 */

import type { InboundName } from '../../mesh/callers.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';

export type Denial =
  | 'not-exported'
  /** The agent has not said who may call: it knows no such port, or was never heard. */
  | 'callers-unknown'
  | 'judging-failed';

export interface AuthorizationRule {
  readonly own: TrustDomain;
  /** As the agent said last. */
  readonly callers: Pick<Collection<InboundName, ReadonlySet<TrustDomain>>, 'get'>;
}

/** Undefined: allowed. */
export function denialOf(
  caller: TrustDomain,
  service: InboundName,
  { own, callers }: AuthorizationRule,
): Denial | undefined {
  try {
    if (caller === own) return undefined;
    const allowed = callers.get(service);
    if (allowed === undefined) return 'callers-unknown';
    return allowed.has(caller) ? undefined : 'not-exported';
  } catch {
    return 'judging-failed';
  }
}

/** Fields that say who the caller is or how it was routed: only a sidecar may. */

import { FieldNames } from '../../wire/http1/field-names.ts';

const MESH_NAMES = { 'x-forwarded-client-cert': true, 'x-isthmus-*': true } as const;

export const MESH_FIELDS = new FieldNames<true>(MESH_NAMES);

/** How long the application gives its call (Envoy's field). */
export const TIMEOUT_FIELD = 'x-envoy-upstream-rq-timeout-ms';
/** How much of it is left: what the callee is told, and may pass on with the calls that it makes in turn. */
export const EXPECTED_TIMEOUT_FIELD = 'x-envoy-expected-rq-timeout-ms';

/** Of a request of the own application: the mesh's own, and what is written anew for the next hop. */
export const OUTBOUND_FIELDS = new FieldNames<true>({
  ...MESH_NAMES,
  [TIMEOUT_FIELD]: true,
  [EXPECTED_TIMEOUT_FIELD]: true,
});

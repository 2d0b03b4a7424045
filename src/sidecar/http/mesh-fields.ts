/** Fields that say who the caller is or how it was routed: only a sidecar may (THREATS AZ-10). */

import { FieldNames } from '../../wire/http1/field-names.ts';

export const MESH_FIELDS = new FieldNames<true>({
  'x-forwarded-client-cert': true,
  'x-isthmus-*': true,
});

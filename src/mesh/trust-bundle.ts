/** A trust domain's root certificates (SPIFFE Trust Domain and Bundle §4), as a value. */

import type { TrustDomain } from './spiffe-id.ts';

export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  /** `spiffe_sequence`: grows with every change, never goes back. */
  readonly sequence: number;
  /** `spiffe_refresh_hint`. */
  readonly refreshHintSeconds: number;
  /** Root certificates, DER. Empty means: trust nobody of this domain. */
  readonly x509Authorities: readonly Uint8Array[];
}

/** What a trust domain says about whom to trust in its name (SPIFFE Trust Domain and Bundle §4), as a value. */

import type { SpiffeId, TrustDomain } from './spiffe-id.ts';

export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  /** `spiffe_sequence`: grows with every change, never goes back. */
  readonly sequence: number;
  /** `spiffe_refresh_hint`. */
  readonly refreshHintSeconds: number;
  /** Root certificates, DER. Empty, from an authenticated source, means: trust nobody of this domain. */
  readonly x509Authorities: readonly Uint8Array[];
  /** Keys that sign JWT-SVIDs. */
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** Identities of this domain that are refused although their certificates are good; sorted. */
  readonly revoked: readonly SpiffeId[];
}

export interface JwtAuthority {
  /** `kid` of the tokens it signs. */
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
}

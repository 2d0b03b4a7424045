/** How a proxy without a certificate proves who it is: each kind of credential has one of these. */

import type { SpiffeId } from '../../mesh/spiffe-id.ts';

export interface Attestor {
  /**
   * Whom the credential vouches for. `accept` sees that first and may throw to refuse the caller, which
   * leaves the credential as it was. Throws the TOKEN_ codes, PEER_UNAVAILABLE.
   */
  attest(credential: Credential, accept: (id: SpiffeId) => void): Promise<SpiffeId>;
}

export interface Credential {
  readonly token: string;
  /** SHA-256 of the public key it asks a certificate for: a one-time token may be shown again with it. */
  readonly keySha256: string;
}

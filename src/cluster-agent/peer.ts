/** The caller of a control-port method, from the certificate that the listener has verified. */

import { MeshError } from '../mesh/errors.ts';
import type { SpiffeId } from '../mesh/spiffe-id.ts';
import { leafIdentity } from '../trust-federation/peers/chain-rules.ts';
import { parseCertificate } from '../trust-federation/x509/parsed-certificate.ts';

/** A connection hands out the same bytes at each call, and reading them costs 300 µs. */
const known = new WeakMap<Buffer, SpiffeId>();

/** Throws PEER_REFUSED, which only a call that came around the listener can meet. */
export function peerIdOf(certificate: Buffer | undefined): SpiffeId {
  if (certificate === undefined) {
    throw new MeshError('PEER_REFUSED', 'the caller has no certificate');
  }
  const id = known.get(certificate) ?? read(certificate);
  known.set(certificate, id);
  return id;
}

function read(certificate: Buffer): SpiffeId {
  const identity = leafIdentity(parseCertificate(certificate));
  if (identity.kind === 'refused') throw new MeshError('PEER_REFUSED', identity.message);
  return identity.id;
}

/** The caller of a control-port method, from the certificate that the listener has verified. */

import { MeshError } from '../mesh/errors.ts';
import type { SpiffeId } from '../mesh/spiffe-id.ts';
import { leafIdentity } from '../trust-federation/chain-rules.ts';
import { parseCertificate } from '../trust-federation/parsed-certificate.ts';
import { PEERS_REMEMBERED_MAX } from './limits.ts';

/** By the certificate's bytes: a proxy calls every few seconds, and reading one costs 300 µs. */
const known = new Map<string, SpiffeId>();

/** Throws PEER_REFUSED, which only a call that came around the listener can meet. */
export function peerIdOf(certificate: Buffer | undefined): SpiffeId {
  if (certificate === undefined) {
    throw new MeshError('PEER_REFUSED', 'the caller has no certificate');
  }
  const bytes = certificate.toString('latin1');
  const id = known.get(bytes) ?? read(certificate);
  if (known.size >= PEERS_REMEMBERED_MAX) known.clear();
  known.set(bytes, id);
  return id;
}

function read(certificate: Buffer): SpiffeId {
  const identity = leafIdentity(parseCertificate(certificate));
  if (identity.kind === 'refused') throw new MeshError('PEER_REFUSED', identity.message);
  return identity.id;
}

/**
 * Envelopes: a version of a trust bundle under the signatures that let it travel through anyone's hands.
 *
 * Each is signed with the member's key, whose certificate leads to the ClusterSet root that every agent
 * holds, and with every root key the cluster has. Which of these counts when is a pure rule
 * (mesh/bundle-succession.ts); here is the cryptography it asks for.
 */

import type { BundleProofs } from '../../mesh/bundle-succession.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { SignedBundle } from '../../mesh/signed-bundle.ts';
import { memberId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { formatBundleStatement } from '../../wire/signed-statement.ts';
import { exactly } from '../peers/authorizer.ts';
import { type BundleSource, verifyPeer } from '../peers/verify.ts';
import { parseCertificate } from '../x509/parsed-certificate.ts';
import { isSignedByRootOf } from './statement-authority.ts';
import { isSignedWith, type StatementSigner, signStatement } from './statement-signature.ts';

export interface EnvelopeSubject {
  readonly clusterSet: TrustDomain;
  readonly cluster: ClusterName;
  readonly bundle: TrustBundle;
}

/** `signers`: the member's own and one for each root whose key the cluster holds. */
export function signEnvelope(
  { clusterSet, cluster, bundle }: EnvelopeSubject,
  signers: readonly StatementSigner[],
): SignedBundle {
  const statement = formatBundleStatement(clusterSet, cluster, bundle);
  return { clusterSet, cluster, bundle, ...signStatement('bundle', statement, signers) };
}

/** `clusterSetRoots`: for the ClusterSet's own trust domain, with the members revoked in it. */
export function envelopeProofs(clusterSetRoots: BundleSource, now: () => number): BundleProofs {
  return {
    memberProblem: signed => memberProblem(signed, clusterSetRoots, now()),
    signedByRootOf: (signed, version) => isSignedByRootOf('bundle', signed, version, now()),
  };
}

function memberProblem(
  signed: SignedBundle,
  clusterSetRoots: BundleSource,
  nowMs: number,
): string | undefined {
  const expected = memberId(signed.clusterSet, signed.cluster);
  let problem = 'it carries no signature of a member';
  for (const { chain, signature } of signed.signatures) {
    const verdict = verifyPeer(chain, clusterSetRoots, exactly(expected), nowMs);
    const leaf = verdict.kind === 'accepted' ? chain[0] : undefined;
    if (leaf === undefined) {
      // Root signatures stand in the same list; only what claims to be a member is worth a word.
      if (verdict.kind === 'refused' && verdict.id !== undefined) problem = verdict.message;
      continue;
    }
    const { publicKey } = parseCertificate(leaf);
    if (isSignedWith('bundle', signed.statement, signature, publicKey)) return undefined;
    problem = `the signature of "${expected}" is not over this statement`;
  }
  return problem;
}

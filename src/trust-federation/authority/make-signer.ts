/** New keys with their certificates: a root, or an intermediate below one. Nothing is written here. */

import { createPublicKey } from 'node:crypto';
import { generateSvidKey } from '../identity/svid.ts';
import {
  type AuthoritySubject,
  issueIntermediate,
  issueRoot,
  type Signer,
  signerOf,
} from '../x509/certificate.ts';

export function makeRoot(subject: AuthoritySubject, nowMs: number): Signer {
  const key = generateSvidKey();
  return signerOf(issueRoot(subject, key, nowMs), key);
}

export function makeIntermediate(subject: AuthoritySubject, root: Signer, nowMs: number): Signer {
  const key = generateSvidKey();
  return signerOf(issueIntermediate(subject, createPublicKey(key), root, nowMs), key);
}

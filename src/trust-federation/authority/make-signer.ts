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
import type { RootHolding } from './authority-journal.ts';

export function makeRoot(subject: AuthoritySubject, nowMs: number): Signer {
  const key = generateSvidKey();
  return signerOf(issueRoot(subject, key, nowMs), key);
}

/** As it is kept. */
export function makeHeldRoot(subject: AuthoritySubject, nowMs: number): RootHolding {
  return { ...makeRoot(subject, nowMs), intermediate: undefined };
}

export function makeIntermediate(subject: AuthoritySubject, root: Signer, nowMs: number): Signer {
  const key = generateSvidKey();
  return signerOf(issueIntermediate(subject, createPublicKey(key), root, nowMs), key);
}

/**
 * A cluster authority at rest: every root with its key and state, the intermediates whose certificates
 * may be alive, and the rollover under way, in one private file.
 *
 * One file replaced as a whole, before any of it is used: a crash leaves the old state or the new one,
 * never a key beside another key's certificate, and a restart goes on from there.
 */

import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { AuthorityPlan } from '../../mesh/rollover.ts';
import type { RootId, RootSlot } from '../../mesh/root-slots.ts';
import { ensurePrivateDir, readStateFile, writeStateFile } from '../../runtime/state-file.ts';
import {
  formatAuthorityJournal,
  type IssuerNote,
  parseAuthorityJournal,
} from '../../wire/authority-journal.ts';
import { ISSUERS_MAX, REVOKED_ROOTS_MAX, WORKLOAD_TTL_MS_MAX } from '../limits.ts';
import { type Signer, signerOf } from '../x509/certificate.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';

/** In the authority's directory. */
export const JOURNAL_FILE = 'journal';

export interface HeldRoot extends RootSlot, RootHolding {}

export interface RootHolding {
  readonly certificate: ParsedCertificate;
  /** Undefined once revoked. */
  readonly key: KeyObject | undefined;
  /** Whose key it is: a CA of this cluster's under a shared root. Undefined: the root's own. */
  readonly intermediate: ParsedCertificate | undefined;
}

export interface AuthorityState extends AuthorityPlan {
  readonly slots: readonly HeldRoot[];
  readonly issuers: readonly IssuerNote[];
}

/** Undefined when there is none. Throws FILE_CORRUPT, FILE_PERMISSIONS, FILE_UNREADABLE, CERTIFICATE_INVALID. */
export async function readAuthority(dir: string): Promise<AuthorityState | undefined> {
  await ensurePrivateDir(dir);
  const path = join(dir, JOURNAL_FILE);
  const content = await readStateFile(path);
  if (content === undefined) return undefined;
  try {
    const { slots, issuers, rollover } = parseAuthorityJournal(content, certificateId);
    return {
      slots: slots.map(({ key, certificate, intermediate, ...slot }) => ({
        ...slot,
        certificate: parseCertificate(certificate),
        intermediate: intermediate === undefined ? undefined : parseCertificate(intermediate),
        // Refuses a key beside another key's certificate.
        key: key === undefined ? key : signerOf(intermediate ?? certificate, privateKey(key)).key,
      })),
      issuers,
      rollover,
    };
  } catch (cause) {
    throw new MeshError(
      'FILE_CORRUPT',
      `"${path}": ${messageOf(cause)}; restore it from a backup: without it this cluster loses its root`,
      { cause },
    );
  }
}

/** Resolves once the state is on disk. */
export async function writeAuthority(dir: string, state: AuthorityState): Promise<void> {
  const { slots, issuers, rollover } = state;
  const content = formatAuthorityJournal({
    slots: slots.map(({ certificate, key, intermediate, ...slot }) => ({
      ...slot,
      certificate: certificate.der,
      intermediate: intermediate?.der,
      key: key?.export({ type: 'pkcs8', format: 'der' }),
    })),
    issuers,
    rollover,
  });
  await writeStateFile(join(dir, JOURNAL_FILE), content);
}

/** The root that signs, for the command line; undefined before the agent's first start. */
export async function loadActiveRoot(dir: string): Promise<Signer | undefined> {
  const state = await readAuthority(dir);
  const root = state === undefined ? undefined : activeRoot(state);
  return root === undefined ? undefined : signerIn(root);
}

/** Half-written files of a process that was killed hold keys. */
export async function removeLeftovers(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.endsWith('.tmp')) await rm(join(dir, name), { force: true });
  }
}

/** The slots as planned; `added` is the root the plan has and the state has not. A revoked one loses its key. */
export function withPlan(
  state: AuthorityState,
  { slots, rollover }: AuthorityPlan,
  added: RootHolding | undefined,
): AuthorityState {
  const held = slots.flatMap((slot): HeldRoot[] => {
    const root = state.slots.find(({ id }) => id === slot.id) ?? added;
    if (root === undefined) return [];
    const key = slot.state === 'revoked' ? undefined : root.key;
    return [{ ...slot, certificate: root.certificate, key, intermediate: root.intermediate }];
  });
  return { ...state, slots: held, rollover };
}

export function certificateId(der: Uint8Array): RootId {
  return createHash('sha256').update(der).digest('hex') as RootId;
}

/** The one that signs; undefined in a journal without one. */
export function activeRoot({ slots }: Pick<AuthorityState, 'slots'>): SigningRoot | undefined {
  return slots.find((slot): slot is SigningRoot => {
    return slot.state === 'active' && slot.key !== undefined;
  });
}

export type SigningRoot = HeldRoot & { readonly key: KeyObject };

/** What signs with that key. */
export function signerIn({ certificate, intermediate, key }: SigningRoot): Signer {
  return { certificate: intermediate ?? certificate, key };
}

function privateKey(der: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
}

/** Of an authority that begins with this root. */
export function firstState(holding: RootHolding, nowMs: number): AuthorityState {
  const id = certificateId(holding.certificate.der);
  const slot: HeldRoot = { id, state: 'active', sinceMs: nowMs, ...holding };
  return { slots: [slot], issuers: [], rollover: undefined };
}

/**
 * The state in which `id` is the intermediate that signs. Earlier ones are kept while what they signed may
 * live, and the newest of the revoked roots.
 */
export function withIssuer(
  state: AuthorityState,
  id: string,
  root: RootId,
  nowMs: number,
): AuthorityState {
  const earlier = state.issuers
    .filter(note => note.id !== id && (note.untilMs === undefined || note.untilMs > nowMs))
    .map(note => ({ ...note, untilMs: note.untilMs ?? nowMs + WORKLOAD_TTL_MS_MAX }));
  const issuers = [...earlier, { id, root, untilMs: undefined }].slice(-ISSUERS_MAX);
  const revoked = state.slots.filter(slot => slot.state === 'revoked').slice(0, -REVOKED_ROOTS_MAX);
  return { ...state, issuers, slots: state.slots.filter(slot => !revoked.includes(slot)) };
}

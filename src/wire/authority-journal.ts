/** A cluster authority's journal as bytes on its disk. Keys are DER here; only trust-federation/ reads them. */

import { isMeshError, MeshError } from '../mesh/errors.ts';
import {
  type AuthorityPlan,
  ROLLOVER_STEPS,
  type Rollover,
  type RolloverEntry,
} from '../mesh/rollover.ts';
import type { RootId, RootSlot, SlotState } from '../mesh/root-slots.ts';
import * as pb from './generated/isthmus/trust/v1/authority.ts';

export interface JournaledRoot extends RootSlot {
  /** DER. */
  readonly certificate: Uint8Array;
  /** PKCS#8, DER; undefined once revoked. */
  readonly key: Uint8Array | undefined;
  /** Whose key it is, where that is not the root itself; DER. */
  readonly intermediate: Uint8Array | undefined;
}

/** An intermediate whose certificates may be alive. */
export interface IssuerNote {
  /** SHA-256 of its certificate, hex. */
  readonly id: string;
  readonly root: RootId;
  /** When the last of what it signed will have expired; undefined while it may sign. */
  readonly untilMs: number | undefined;
}

export interface AuthorityJournal extends AuthorityPlan {
  readonly slots: readonly JournaledRoot[];
  readonly issuers: readonly IssuerNote[];
}

export function formatAuthorityJournal({ slots, issuers, rollover }: AuthorityJournal): Uint8Array {
  return pb.AuthorityJournal.encode({
    roots: slots.map(({ state, sinceMs, certificate, key, intermediate }) => ({
      state,
      sinceMs: milliseconds(sinceMs),
      certificate: Buffer.from(certificate),
      key: Buffer.from(key ?? []),
      intermediate: Buffer.from(intermediate ?? []),
    })),
    issuers: issuers.map(({ id, root, untilMs }) => ({
      sha256: Buffer.from(id, 'hex'),
      rootSha256: Buffer.from(root, 'hex'),
      untilMs: milliseconds(untilMs ?? 0),
    })),
    rollover: rollover === undefined ? undefined : encodeRollover(rollover),
  }).finish();
}

/** `idOf`: a certificate's SHA-256. Throws FILE_CORRUPT for anything `formatAuthorityJournal` does not write. */
export function parseAuthorityJournal(
  bytes: Uint8Array,
  idOf: (certificate: Uint8Array) => RootId,
): AuthorityJournal {
  try {
    const { roots, issuers, rollover } = pb.AuthorityJournal.decode(bytes);
    return {
      slots: roots.map(({ state, sinceMs, certificate, key, intermediate }) => ({
        id: idOf(certificate),
        state: oneOf(SLOT_STATES, state),
        sinceMs: Number(sinceMs),
        certificate,
        key: key.length === 0 ? undefined : key,
        intermediate: intermediate.length === 0 ? undefined : intermediate,
      })),
      issuers: issuers.map(({ sha256, rootSha256, untilMs }) => ({
        id: sha256.toString('hex'),
        root: rootIdOf(rootSha256),
        untilMs: untilMs === 0n ? undefined : Number(untilMs),
      })),
      rollover: rollover === undefined ? undefined : decodeRollover(rollover),
    };
  } catch (cause) {
    if (isMeshError(cause)) throw cause;
    throw new MeshError('FILE_CORRUPT', 'is no authority journal', { cause });
  }
}

const SLOT_STATES: readonly SlotState[] = ['prepared', 'active', 'tainted', 'revoked'];

function encodeRollover({ from, to, step, sinceMs, auto, history }: Rollover): pb.Rollover {
  return {
    fromSha256: Buffer.from(from, 'hex'),
    toSha256: Buffer.from(to, 'hex'),
    step,
    sinceMs: milliseconds(sinceMs),
    auto,
    history: history.map(entry => ({
      step: entry.step,
      atMs: milliseconds(entry.atMs),
      reason: entry.forced?.reason ?? '',
      unproven: entry.forced?.unproven ?? '',
    })),
  };
}

function decodeRollover(message: pb.Rollover): Rollover {
  return {
    from: rootIdOf(message.fromSha256),
    to: rootIdOf(message.toSha256),
    step: oneOf(ROLLOVER_STEPS, message.step),
    sinceMs: Number(message.sinceMs),
    auto: message.auto,
    history: message.history.map(decodeEntry),
  };
}

function decodeEntry({ step, atMs, reason, unproven }: pb.RolloverEntry): RolloverEntry {
  return {
    step: oneOf([...ROLLOVER_STEPS, 'aborted'] as const, step),
    atMs: Number(atMs),
    ...(unproven === '' ? {} : { forced: { reason, unproven } }),
  };
}

function rootIdOf(sha256: Buffer): RootId {
  return sha256.toString('hex') as RootId;
}

function milliseconds(value: number): bigint {
  return BigInt(Math.round(value));
}

function oneOf<T extends string>(known: readonly T[], value: string): T {
  const found = known.find(each => each === value);
  if (found !== undefined) return found;
  throw new MeshError(
    'FILE_CORRUPT',
    `has ${JSON.stringify(value.slice(0, 40))} where one of ${known.join(', ')} belongs`,
  );
}

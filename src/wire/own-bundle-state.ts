/** The own bundle's state on an agent's disk: signed versions as they went out, and who was revoked when. */

import type { SignedBundle } from '../mesh/signed-bundle.ts';
import { requireSpiffeId, type SpiffeId } from '../mesh/spiffe-id.ts';
import * as pb from './generated/isthmus/trust/v1/trust.ts';
import { formatSigned, parseSignedBundle } from './signed-statement.ts';

export interface OwnBundleState {
  readonly current: SignedBundle;
  /** The first version with each set of roots, oldest first. */
  readonly transitions: readonly SignedBundle[];
  readonly revoked: readonly RevokedIdentity[];
}

export interface RevokedIdentity {
  readonly id: SpiffeId;
  readonly atMs: number;
  /** In the operator's words. */
  readonly reason: string;
}

export function formatOwnBundle({ current, transitions, revoked }: OwnBundleState): Uint8Array {
  return pb.OwnBundleState.encode({
    current: Buffer.from(formatSigned(current)),
    transitions: transitions.map(each => Buffer.from(formatSigned(each))),
    revoked: revoked.map(({ id, atMs, reason }) => ({
      spiffeId: id,
      atMs: BigInt(Math.round(atMs)),
      reason,
    })),
  }).finish();
}

/** Throws PROTOCOL_VIOLATION, NAME_INVALID, LIMIT_EXCEEDED. */
export function parseOwnBundle(content: Uint8Array): OwnBundleState {
  const { current, transitions, revoked } = pb.OwnBundleState.decode(content);
  return {
    current: parseSignedBundle(current),
    transitions: transitions.map(parseSignedBundle),
    revoked: revoked.map(({ spiffeId, atMs, reason }) => ({
      id: requireSpiffeId(spiffeId),
      atMs: Number(atMs),
      reason,
    })),
  };
}

/**
 * The life of a cluster's root certificates: *prepared → active → tainted → revoked*, as one table.
 *
 * A prepared root is in the bundle and signs nothing; the active one signs; a tainted one is still in the
 * bundle, but what it signed has to go; a revoked one is out of the bundle and its key is gone. A root
 * that another relieves is prepared again, so that there is a way back until it is tainted.
 */

import type { Branded } from './names.ts';

/** SHA-256 of the certificate, hex. */
export type RootId = Branded<string, 'RootId'>;

export type SlotState = 'prepared' | 'active' | 'tainted' | 'revoked';

export type SlotEvent =
  | 'activate'
  /** Another root signs from now on. */
  | 'relieve'
  | 'taint'
  /** Back from tainted, when the root that should follow it turned out bad. */
  | 'reinstate'
  | 'revoke';

export interface RootSlot {
  readonly id: RootId;
  readonly state: SlotState;
  /** When it came into this state. */
  readonly sinceMs: number;
}

const TABLE: Readonly<Record<SlotState, Readonly<Partial<Record<SlotEvent, SlotState>>>>> = {
  prepared: { activate: 'active', taint: 'tainted', revoke: 'revoked' },
  active: { relieve: 'prepared' },
  tainted: { reinstate: 'prepared', revoke: 'revoked' },
  revoked: {},
};

/** Undefined: not from that state. The active root goes only when another has relieved it. */
export function nextSlot(slot: RootSlot, event: SlotEvent, nowMs: number): RootSlot | undefined {
  const state = TABLE[slot.state][event];
  return state === undefined ? undefined : { ...slot, state, sinceMs: nowMs };
}

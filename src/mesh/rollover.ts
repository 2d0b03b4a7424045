/**
 * A root's rollover as a state machine: which step follows, what it does to the slots, and what it takes.
 *
 *   announced   the new root is in the bundle
 *   trusted     every proxy of every cluster has applied that bundle
 *   active      the new root signs
 *   tainted     what the old one signed is replaced, by everyone at once
 *   drained     no certificate of the old root is alive
 *   revoked     the old root is out of the bundle and its key is gone
 *
 * Pure: the gate (rollover-gate.ts) says whether the way is proven; here an unproven step is refused
 * unless it is forced with a reason, which the history keeps. Aborting turns the two roots around when
 * the new one may have signed, so the way back has the same gates.
 */

import { nextSlot, type RootId, type RootSlot, type SlotEvent } from './root-slots.ts';

export const ROLLOVER_STEPS = [
  'announced',
  'trusted',
  'active',
  'tainted',
  'drained',
  'revoked',
] as const;

export type RolloverStep = (typeof ROLLOVER_STEPS)[number];

export interface Rollover {
  /** The root that goes. */
  readonly from: RootId;
  /** The root that stays. */
  readonly to: RootId;
  readonly step: RolloverStep;
  readonly sinceMs: number;
  /** Whether it goes on by itself where the gate is proven. */
  readonly auto: boolean;
  /** Oldest first; the last one is the step it is in. */
  readonly history: readonly RolloverEntry[];
}

export interface RolloverEntry {
  readonly step: RolloverStep | 'aborted';
  readonly atMs: number;
  /** What was not proven, and why the operator went on all the same. */
  readonly forced?: { readonly reason: string; readonly unproven: string };
}

export interface AuthorityPlan {
  readonly slots: readonly RootSlot[];
  /** The one under way, or the last one. */
  readonly rollover: Rollover | undefined;
}

export type RolloverEvent =
  | { readonly kind: 'start'; readonly root: RootId; readonly auto: boolean }
  | {
      readonly kind: 'advance';
      /** What the gate lacks, in words; undefined when it is proven. */
      readonly unproven: string | undefined;
      /** The operator's reason to go on without the proof. */
      readonly forceReason?: string;
    }
  | { readonly kind: 'abort'; readonly reason: string };

export type RolloverResult =
  | { readonly kind: 'ok'; readonly plan: AuthorityPlan }
  | { readonly kind: 'refused'; readonly message: string };

export function nextRollover(
  plan: AuthorityPlan,
  event: RolloverEvent,
  nowMs: number,
): RolloverResult {
  switch (event.kind) {
    case 'start':
      return start(plan, event, nowMs);
    case 'advance':
      return advance(plan, event, nowMs);
    case 'abort':
      return abort(plan, event.reason, nowMs);
  }
}

/** Whether one is under way: neither revoked nor aborted before the new root signed anything. */
export function isUnderWay(rollover: Rollover | undefined): rollover is Rollover {
  return rollover !== undefined && rollover.step !== 'revoked';
}

export function stepAfter(step: RolloverStep): RolloverStep | undefined {
  return ROLLOVER_STEPS[ROLLOVER_STEPS.indexOf(step) + 1];
}

function start(
  { slots, rollover }: AuthorityPlan,
  { root, auto }: RolloverEvent & { readonly kind: 'start' },
  nowMs: number,
): RolloverResult {
  if (isUnderWay(rollover)) {
    return refused(
      `a rollover is under way, at step "${rollover.step}"; advance or abort it first`,
    );
  }
  const active = slots.find(({ state }) => state === 'active');
  if (active === undefined) return refused('there is no active root to roll over from');
  const step = 'announced';
  return {
    kind: 'ok',
    plan: {
      slots: [...slots, { id: root, state: 'prepared', sinceMs: nowMs }],
      rollover: {
        from: active.id,
        to: root,
        step,
        sinceMs: nowMs,
        auto,
        history: [{ step, atMs: nowMs }],
      },
    },
  };
}

/** What reaching a step does to the roots. */
const EFFECTS: Readonly<
  Partial<Record<RolloverStep, Readonly<Partial<Record<'from' | 'to', SlotEvent>>>>>
> = {
  active: { from: 'relieve', to: 'activate' },
  tainted: { from: 'taint' },
  revoked: { from: 'revoke' },
};

function advance(
  { slots, rollover }: AuthorityPlan,
  { unproven, forceReason }: RolloverEvent & { readonly kind: 'advance' },
  nowMs: number,
): RolloverResult {
  if (!isUnderWay(rollover)) return refused('no rollover is under way; start one');
  const step = stepAfter(rollover.step);
  if (step === undefined) return refused(`there is no step after "${rollover.step}"`);
  if (unproven !== undefined && forceReason === undefined) {
    return refused(
      `step "${step}" is not proven: ${unproven}; wait, or force it with a reason, knowing that whoever lacks it may be cut off`,
    );
  }
  const entry: RolloverEntry = {
    step,
    atMs: nowMs,
    ...(unproven === undefined || forceReason === undefined
      ? {}
      : { forced: { reason: forceReason, unproven } }),
  };
  return moved(slots, EFFECTS[step] ?? {}, { ...rollover, step }, entry);
}

function abort({ slots, rollover }: AuthorityPlan, reason: string, nowMs: number): RolloverResult {
  if (rollover?.step === 'revoked') {
    return refused(
      'the old root has left the bundle and its key is gone, so there is nothing to go back to; start another rollover',
    );
  }
  if (!isUnderWay(rollover)) return refused('no rollover is under way');
  const entry: RolloverEntry = {
    step: 'aborted',
    atMs: nowMs,
    forced: { reason, unproven: `aborted at step "${rollover.step}"` },
  };
  const back = { ...rollover, from: rollover.to, to: rollover.from };
  switch (rollover.step) {
    case 'announced':
    case 'trusted':
      // The new root has signed nothing: nobody notices when it goes.
      return moved(slots, { from: 'revoke' }, { ...back, step: 'revoked' }, entry);
    case 'active':
    case 'tainted':
    case 'drained':
      return turnBack(slots, { ...back, step: 'tainted' }, entry);
  }
}

/** The old root is still in everyone's bundle, so it can sign again; the new one is drained instead. */
function turnBack(
  slots: readonly RootSlot[],
  back: Rollover,
  entry: RolloverEntry,
): RolloverResult {
  const events: (readonly [RootId, SlotEvent])[] = [
    [back.from, 'relieve'],
    [back.to, 'activate'],
    [back.from, 'taint'],
  ];
  if (slotOf(slots, back.to)?.state === 'tainted') events.unshift([back.to, 'reinstate']);
  const next = applyAll(slots, events, entry.atMs);
  if (next === undefined)
    return refused('the roots are not in the states this step leaves them in');
  return { kind: 'ok', plan: { slots: next, rollover: recorded(back, entry) } };
}

function moved(
  slots: readonly RootSlot[],
  effects: Readonly<Partial<Record<'from' | 'to', SlotEvent>>>,
  to: Rollover,
  entry: RolloverEntry,
): RolloverResult {
  const events = (['from', 'to'] as const).flatMap(which => {
    const event = effects[which];
    return event === undefined ? [] : [[to[which], event] as const];
  });
  const next = applyAll(slots, events, entry.atMs);
  if (next === undefined) return refused('the roots are not in the states this step starts from');
  return { kind: 'ok', plan: { slots: next, rollover: recorded(to, entry) } };
}

/** Undefined when one of the events is not for its slot's state. */
function applyAll(
  slots: readonly RootSlot[],
  events: readonly (readonly [RootId, SlotEvent])[],
  nowMs: number,
): readonly RootSlot[] | undefined {
  let all = slots;
  for (const [id, event] of events) {
    const slot = slotOf(all, id);
    const next = slot === undefined ? undefined : nextSlot(slot, event, nowMs);
    if (next === undefined) return undefined;
    all = all.map(each => (each.id === id ? next : each));
  }
  return all;
}

function slotOf(slots: readonly RootSlot[], id: RootId): RootSlot | undefined {
  return slots.find(slot => slot.id === id);
}

function recorded(rollover: Rollover, entry: RolloverEntry): Rollover {
  return { ...rollover, sinceMs: entry.atMs, history: [...rollover.history, entry] };
}

function refused(message: string): RolloverResult {
  return { kind: 'refused', message };
}

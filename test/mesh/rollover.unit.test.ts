/** The life of a root and of its rollover, as tables. */

import { expect } from 'chai';
import {
  type AuthorityPlan,
  isUnderWay,
  nextRollover,
  ROLLOVER_STEPS,
  type RolloverEvent,
  type RolloverStep,
} from '../../src/mesh/rollover.ts';
import {
  nextSlot,
  type RootId,
  type SlotEvent,
  type SlotState,
} from '../../src/mesh/root-slots.ts';

const OLD = 'aa' as RootId;
const NEW = 'bb' as RootId;
const START: AuthorityPlan = {
  slots: [{ id: OLD, state: 'active', sinceMs: 0 }],
  rollover: undefined,
};
const advance: RolloverEvent = { kind: 'advance', unproven: undefined };
const abort: RolloverEvent = { kind: 'abort', reason: 'changed our mind' };

function follow(plan: AuthorityPlan, ...events: RolloverEvent[]): AuthorityPlan {
  return events.reduce((at, event, index) => {
    const result = nextRollover(at, event, index + 1);
    if (result.kind === 'refused') throw new Error(result.message);
    return result.plan;
  }, plan);
}

function at(step: RolloverStep): AuthorityPlan {
  const moves = ROLLOVER_STEPS.indexOf(step);
  const start: RolloverEvent = { kind: 'start', root: NEW, auto: false };
  return follow(START, start, ...Array.from({ length: moves }, () => advance));
}

function refusalOf(plan: AuthorityPlan, event: RolloverEvent): string {
  const result = nextRollover(plan, event, 99);
  return result.kind === 'refused' ? result.message : 'was not refused';
}

function states({ slots }: AuthorityPlan): Record<string, SlotState> {
  return Object.fromEntries(slots.map(({ id, state }) => [id, state]));
}

describe('a root slot', () => {
  const table: Record<SlotState, Partial<Record<SlotEvent, SlotState>>> = {
    prepared: { activate: 'active', taint: 'tainted', revoke: 'revoked' },
    active: { relieve: 'prepared' },
    tainted: { reinstate: 'prepared', revoke: 'revoked' },
    revoked: {},
  };
  const events: SlotEvent[] = ['activate', 'relieve', 'taint', 'reinstate', 'revoke'];
  for (const state of Object.keys(table) as SlotState[]) {
    for (const event of events) {
      const expected = table[state][event];
      it(`that is ${state} ${expected === undefined ? 'does not heed' : `becomes ${expected} by`} "${event}"`, () => {
        const next = nextSlot({ id: OLD, state, sinceMs: 1 }, event, 2);
        expect(next).to.deep.equal(
          expected === undefined ? undefined : { id: OLD, state: expected, sinceMs: 2 },
        );
      });
    }
  }
});

describe('a rollover', () => {
  const slotsAt: Record<RolloverStep, Record<string, SlotState>> = {
    announced: { [OLD]: 'active', [NEW]: 'prepared' },
    trusted: { [OLD]: 'active', [NEW]: 'prepared' },
    active: { [OLD]: 'prepared', [NEW]: 'active' },
    tainted: { [OLD]: 'tainted', [NEW]: 'active' },
    drained: { [OLD]: 'tainted', [NEW]: 'active' },
    revoked: { [OLD]: 'revoked', [NEW]: 'active' },
  };
  for (const step of ROLLOVER_STEPS) {
    it(`at "${step}" has its roots in the states that step means, and exactly one signs`, () => {
      const plan = at(step);
      expect(plan.rollover).to.include({ from: OLD, to: NEW, step });
      expect(states(plan)).to.deep.equal(slotsAt[step]);
      expect(Object.values(states(plan)).filter(state => state === 'active')).to.have.length(1);
    });
  }

  for (const step of ROLLOVER_STEPS.slice(0, -1)) {
    it(`does not leave "${step}" unproven, and does with proof or by force with a reason`, () => {
      const unproven = { kind: 'advance', unproven: 'web-0 in west has bundle 3' } as const;
      expect(refusalOf(at(step), unproven)).to.include('web-0 in west has bundle 3');
      const forced = follow(at(step), { ...unproven, forceReason: 'west is gone' });
      expect(forced.rollover?.history.at(-1)?.forced).to.deep.equal({
        reason: 'west is gone',
        unproven: 'web-0 in west has bundle 3',
      });
      const proven = follow(at(step), advance);
      expect(proven.slots.map(({ state }) => state)).to.deep.equal(
        forced.slots.map(({ state }) => state),
      );
      expect(proven.rollover?.history.at(-1)).not.to.have.property('forced');
    });
  }

  it('ends at "revoked", and another may start', () => {
    expect(isUnderWay(at('revoked').rollover)).to.equal(false);
    expect(refusalOf(at('revoked'), advance)).to.include('start one');
    const again = follow(at('revoked'), { kind: 'start', root: 'cc' as RootId, auto: true });
    expect(again.rollover).to.include({ from: NEW, to: 'cc', step: 'announced', auto: true });
  });

  it('is one at a time', () => {
    const another: RolloverEvent = { kind: 'start', root: 'cc' as RootId, auto: false };
    expect(refusalOf(at('trusted'), another)).to.include('"trusted"');
    expect(follow(START, another).rollover?.to).to.equal('cc');
  });

  for (const step of ['announced', 'trusted'] as const) {
    it(`aborted at "${step}" drops the new root, which has signed nothing`, () => {
      const plan = follow(at(step), abort);
      expect(states(plan)).to.deep.equal({ [OLD]: 'active', [NEW]: 'revoked' });
      expect(isUnderWay(plan.rollover)).to.equal(false);
    });
  }

  for (const step of ['active', 'tainted', 'drained'] as const) {
    it(`aborted at "${step}" turns round: the old root signs again, the new one has to drain`, () => {
      const plan = follow(at(step), abort);
      expect(states(plan)).to.deep.equal({ [OLD]: 'active', [NEW]: 'tainted' });
      expect(plan.rollover).to.include({ from: NEW, to: OLD, step: 'tainted' });
      const done = follow(plan, advance, advance);
      expect(states(done)).to.deep.equal({ [OLD]: 'active', [NEW]: 'revoked' });
    });
  }

  it('cannot be aborted once the old root is gone, and says what to do instead', () => {
    expect(refusalOf(at('revoked'), abort)).to.include('start another rollover');
    expect(refusalOf(START, abort)).to.include('no rollover');
  });

  it('remembers every step with its time', () => {
    const { rollover } = at('revoked');
    expect(rollover?.history.map(({ step, atMs }) => [step, atMs])).to.deep.equal(
      ROLLOVER_STEPS.map((step, index) => [step, index + 1]),
    );
  });
});

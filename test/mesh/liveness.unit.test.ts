import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  DEAD_AFTER_MS,
  isServed,
  type LeaseSignal,
  type Liveness,
  leaseSignal,
  nextLiveness,
  type PathSignal,
  pathSignal,
  RAMP_MS,
  rampPercent,
  type Signals,
  type Verdict,
} from '../../src/mesh/liveness.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import { nextPath, type PathEvidence, type PathState, RETURN_MS } from '../../src/mesh/path.ts';

const T = 1_000_000;
const DOC = readFileSync(new URL('../../../docs/liveness.md', import.meta.url), 'utf8');

/** The rows of the table under a heading, by their first cell, then by column. */
function documented(heading: string): Map<string, ReadonlyMap<string, string>> {
  const section = DOC.split('\n## ').find(each => each.startsWith(heading)) ?? '';
  const [header, , ...rows] = (section.split('\n\n').find(each => each.startsWith('| it is')) ?? '')
    .split('\n')
    .map(line =>
      line
        .split('|')
        .slice(1, -1)
        .map(cell => cell.trim()),
    );
  const columns = header?.slice(1) ?? [];
  return new Map(
    rows.map(([name = '', ...cells]) => [
      name,
      new Map(columns.map((column, i) => [column, cells[i] ?? ''])),
    ]),
  );
}

const LEASES: Readonly<Record<string, LeaseSignal>> = {
  'R held': { kind: 'held' },
  'R lost': { kind: 'lost', reason: 'lease-expired' },
  'R unknown': { kind: 'unknown' },
};

function signalsOf(column: string): Signals {
  const [lease = '', paths = ''] = column.split(', ');
  const known = LEASES[lease];
  if (known === undefined) throw new Error(`no signal "${lease}"`);
  return { lease: known, paths: paths.slice(2) as PathSignal };
}

const VERDICTS: Readonly<Record<string, Verdict | undefined>> = {
  'never seen': undefined,
  serving: { kind: 'serving', sinceMs: 1 },
  stale: { kind: 'stale', sinceMs: 1, reason: 'lease-expired' },
  unreachable: { kind: 'unreachable', sinceMs: 1 },
  failing: { kind: 'failing', sinceMs: T - DEAD_AFTER_MS + 1 },
  'failing for 5 s': { kind: 'failing', sinceMs: T - DEAD_AFTER_MS },
  dead: { kind: 'dead', sinceMs: 1 },
  recovering: { kind: 'recovering', sinceMs: 1, aliveMs: T - RETURN_MS + 1 },
  'recovering for 30 s': { kind: 'recovering', sinceMs: 1, aliveMs: T - RETURN_MS },
};

const held = signalsOf('R held, D answering');
const bothLost = signalsOf('R lost, D lost');

function run(seconds: number, signalsAt: (second: number) => Signals): Liveness[] {
  const states: Liveness[] = [];
  let state: Liveness | undefined;
  for (let second = 0; second < seconds; second++) {
    state = nextLiveness(state, signalsAt(second), second * 1_000);
    states.push(state);
  }
  return states;
}

describe('the liveness of a cluster', () => {
  const table = documented('One cluster');

  it('has all its states in the table', () => {
    expect([...table.keys()]).to.have.members(Object.keys(VERDICTS));
    for (const columns of table.values()) expect(columns.size).to.equal(9);
  });

  for (const [name, columns] of table) {
    for (const [column, expected] of columns) {
      it(`when ${name}, with ${column}, is then ${expected}`, () => {
        const verdict = VERDICTS[name];
        const before = verdict === undefined ? undefined : { verdict, returnedMs: undefined };
        expect(nextLiveness(before, signalsOf(column), T).verdict.kind).to.equal(expected);
      });
    }
  }

  it('keeps the date of what stays as it was', () => {
    const states = run(10, () => signalsOf('R lost, D answering'));
    expect(states.at(-1)?.verdict).to.deep.equal({
      kind: 'stale',
      sinceMs: 0,
      reason: 'lease-expired',
    });
  });

  it('is served through every loss of one signal, for however long', () => {
    for (const lost of ['R lost, D answering', 'R lost, D none', 'R held, D lost']) {
      expect(run(3_600, () => signalsOf(lost)).every(isServed)).to.equal(true);
    }
  });

  it('ends when both are lost, five seconds later, and not before', () => {
    const out = run(20, second => (second < 10 ? held : bothLost)).findIndex(s => !isServed(s));
    expect(out).to.equal(10 + DEAD_AFTER_MS / 1_000);
  });

  it('that comes and goes leaves once and stays out until it stays', () => {
    const states = run(300, second =>
      second < 200 && Math.floor(second / 10) % 2 === 0 ? bothLost : held,
    );
    const changes = states.filter((s, i) => i > 0 && isServed(s) !== isServed(states[i - 1] ?? s));
    expect(changes).to.have.length(2);
    expect(states.findLastIndex(s => !isServed(s))).to.be.within(190 + 28, 190 + 31);
  });

  it('returns from a trickle to its full share', () => {
    const states = run(120, second => (second < 20 ? bothLost : held));
    const back = states.findIndex((s, i) => i > 10 && isServed(s));
    const shares = states.map((s, second) => rampPercent(s, second * 1_000)).slice(back);
    expect(shares[0]).to.equal(17);
    expect([...shares].sort((a, b) => a - b)).to.deep.equal(shares);
    expect(shares.findIndex(share => share === 100)).to.equal(RAMP_MS / 1_000);
    expect(states.at(-1)?.returnedMs).to.equal(undefined);
  });
});

describe('the signals', () => {
  it('take a lease for lost when it ran out or the registry is silent, not when nobody asked yet', () => {
    const stale = { kind: 'stale', sinceMs: 1 } as const;
    expect(leaseSignal({ kind: 'live' }).kind).to.equal('held');
    expect(leaseSignal({ ...stale, reason: 'lease-expired' }).kind).to.equal('lost');
    expect(leaseSignal({ ...stale, reason: 'registry-unreachable' }).kind).to.equal('lost');
    expect(leaseSignal({ ...stale, reason: 'loaded-from-disk' }).kind).to.equal('unknown');
  });

  const path = (state: PathState, lastAnswerMs?: number): PathEvidence => ({
    cluster: 'west' as ClusterName,
    address: { host: '10.0.0.1', port: 1 },
    state,
    lastAnswerMs,
    rttMs: undefined,
  });
  const down = path({ kind: 'down', sinceMs: 0, reason: 'silent' }, T - 60_000);
  const up = path({ kind: 'up', sinceMs: 0 }, T);
  const untried = path({ kind: 'unknown', sinceMs: 0 });

  it('take the paths for lost only when somebody tried and nothing came back', () => {
    expect(pathSignal([], T, 10_000)).to.equal('none');
    expect(pathSignal([untried], T, 10_000)).to.equal('none');
    expect(pathSignal([down, down], T, 10_000)).to.equal('lost');
    expect(pathSignal([down, untried], T, 10_000)).to.equal('lost');
    expect(pathSignal([down, up], T, 10_000)).to.equal('answering');
    expect(pathSignal([down, { ...down, lastAnswerMs: T - 9_000 }], T, 10_000)).to.equal(
      'answering',
    );
  });
});

describe('a path, as documented,', () => {
  const states: Readonly<Record<string, PathState>> = {
    unknown: { kind: 'unknown', sinceMs: 1 },
    up: { kind: 'up', sinceMs: 1 },
    draining: { kind: 'draining', sinceMs: 1 },
    down: { kind: 'down', sinceMs: 1, reason: 'silent' },
    held: { kind: 'held', sinceMs: 1, answeringMs: T - RETURN_MS + 1 },
    'held for 30 s': { kind: 'held', sinceMs: 1, answeringMs: T - RETURN_MS },
  };
  const events = {
    answered: { kind: 'answered', isDraining: false },
    'answered: draining': { kind: 'answered', isDraining: true },
    failed: { kind: 'failed', reason: 'silent' },
  } as const;
  const table = documented('One path');

  it('has all its states in the table', () => {
    expect([...table.keys()]).to.have.members(Object.keys(states));
  });

  for (const [name, columns] of table) {
    for (const [column, expected] of columns) {
      it(`when ${name}, ${column}, is then ${expected}`, () => {
        const event = events[column as keyof typeof events];
        const state = states[name];
        if (state === undefined) throw new Error(`no state "${name}"`);
        expect(nextPath(state, event, T).kind).to.equal(expected);
      });
    }
  }
});

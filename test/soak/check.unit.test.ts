/** The checker of recorded histories: each guarantee broken on purpose, beside what may happen. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkConverged, checkHistory } from '../../soak/history/check.ts';
import type {
  Delivery,
  Guarantee,
  History,
  Seen,
  Sight,
  Write,
} from '../../soak/history/history.ts';

const put = (token: string, revision?: bigint, startMs = 0): Write => ({
  key: 'k',
  token,
  startMs,
  revision,
});
const deletion = (revision?: bigint, startMs = 0): Write => ({
  key: 'k',
  token: undefined,
  startMs,
  revision,
});
const saw = (token: string, revision: bigint, key = 'k'): Seen => ({
  key,
  value: { token, revision },
});
const lost: Seen = { key: 'k', value: undefined };
const at = (revision: bigint, ...changes: Seen[]): Sight => ({ atMs: 10, revision, changes });

function history(
  writes: readonly Write[],
  sights: readonly Sight[],
  deliveries: readonly Delivery[] = [],
): History {
  return { writes, importers: [{ name: 'east', sights, deliveries }] };
}

function broken(given: History): Guarantee[] {
  return checkHistory(given).map(({ guarantee }) => guarantee);
}

describe('the history checker', () => {
  it('accepts an importer that sees every write at its revision', () => {
    const sights = [at(1n, saw('a', 1n)), at(2n, saw('b', 2n)), at(3n, lost)];
    expect(broken(history([put('a', 1n), put('b', 2n), deletion(3n)], sights))).to.deep.equal([]);
  });

  it('accepts an importer that jumps over writes with a whole table', () => {
    expect(broken(history([put('a', 1n), put('b', 5n)], [at(7n, saw('b', 5n))]))).to.deep.equal([]);
  });

  it('accepts one that is merely behind', () => {
    const sights = [at(1n, saw('a', 1n)), at(1n)];
    expect(broken(history([put('a', 1n), put('b', 2n)], sights))).to.deep.equal([]);
  });

  it('names an importer that passed a write without seeing it', () => {
    const sights = [at(1n, saw('a', 1n)), at(3n)];
    expect(broken(history([put('a', 1n), put('b', 2n)], sights))).to.deep.equal(['reliable']);
  });

  it('names an importer that passed a deletion without seeing it', () => {
    const sights = [at(1n, saw('a', 1n)), at(3n)];
    expect(broken(history([put('a', 1n), deletion(2n)], sights))).to.deep.equal(['reliable']);
  });

  it('names a record that disappeared though nobody deleted it', () => {
    const sights = [at(1n, saw('a', 1n)), at(2n, lost)];
    expect(broken(history([put('a', 1n)], sights))).to.deep.equal(['reliable']);
  });

  it('names a record that came back after its deletion was seen', () => {
    const sights = [at(1n, saw('a', 1n)), at(2n, lost), at(3n, saw('a', 1n))];
    expect(broken(history([put('a', 1n), deletion(2n)], sights))).to.deep.equal(['reliable']);
  });

  it('names an importer that goes back in time', () => {
    const sights = [at(2n, saw('b', 2n)), at(1n, saw('a', 1n))];
    expect(broken(history([put('a', 1n), put('b', 2n)], sights))).to.deep.equal(['ordered']);
  });

  it('names a value newer than where the importer says it stands', () => {
    expect(broken(history([put('b', 2n)], [at(1n, saw('b', 2n))]))).to.deep.equal(['ordered']);
  });

  it('names a value that nobody wrote, or wrote elsewhere, or wrote only later', () => {
    const phantom: Guarantee[] = ['nothing phantom'];
    expect(broken(history([], [at(1n, saw('x', 1n))]))).to.deep.equal(phantom);
    const elsewhere: Write = { ...put('a', 1n), key: 'other' };
    const sights = [at(1n, saw('a', 1n), saw('a', 1n, 'other'))];
    expect(broken(history([elsewhere], sights))).to.deep.equal(phantom);
    expect(broken(history([put('a', 1n, 99)], [at(1n, saw('a', 1n))]))).to.deep.equal(phantom);
  });

  describe('of a write whose answer was lost', () => {
    it('accepts that it happened, and that it did not', () => {
      const writes = [put('a', 1n), put('b')];
      expect(broken(history(writes, [at(1n, saw('a', 1n)), at(9n)]))).to.deep.equal([]);
      const happened = [at(1n, saw('a', 1n)), at(9n, saw('b', 4n))];
      expect(broken(history(writes, happened))).to.deep.equal([]);
    });

    it('holds the others to it once one importer has seen it', () => {
      const importers = [
        { name: 'east', sights: [at(9n, saw('b', 4n))], deliveries: [] },
        { name: 'west', sights: [at(9n, saw('a', 1n))], deliveries: [] },
      ];
      const anomalies = checkHistory({ writes: [put('a', 1n), put('b')], importers });
      expect(anomalies.map(({ importer, guarantee }) => [importer, guarantee])).to.deep.equal([
        ['west', 'reliable'],
      ]);
    });

    it('accepts a deletion that may have happened, but not before it was asked for', () => {
      const sights = [at(1n, saw('a', 1n)), at(2n, lost)];
      expect(broken(history([put('a', 1n), deletion(undefined, 5)], sights))).to.deep.equal([]);
      expect(broken(history([put('a', 1n), deletion(undefined, 50)], sights))).to.deep.equal([
        'reliable',
      ]);
    });
  });

  describe('of deliveries', () => {
    const sent = (stream: number, after: bigint, revision: bigint, changes = 1): Delivery => ({
      stream,
      after,
      kind: 'changes',
      revision,
      changes,
    });

    it('accepts streams that continue where they were asked to', () => {
      const deliveries = [sent(1, 0n, 1n), sent(1, 0n, 2n), sent(2, 2n, 2n, 0), sent(2, 2n, 3n)];
      expect(broken(history([], [], deliveries))).to.deep.equal([]);
    });

    it('names a revision delivered twice, one out of order, and a stream that resumes too early', () => {
      const twice = [sent(1, 0n, 2n), sent(1, 0n, 2n)];
      expect(broken(history([], [], twice))).to.deep.equal(['unique']);
      const back = [sent(1, 0n, 3n), sent(1, 0n, 2n)];
      expect(broken(history([], [], back))).to.deep.equal(['ordered']);
      expect(broken(history([], [], [sent(2, 5n, 4n)]))).to.deep.equal(['resumable']);
      expect(broken(history([], [], [sent(2, 5n, 5n)]))).to.deep.equal(['unique']);
    });
  });

  it('is content at the end when everybody holds the last write', () => {
    const sights = [at(1n, saw('a', 1n)), at(2n, saw('b', 2n))];
    expect(checkConverged(history([put('a', 1n), put('b', 2n)], sights))).to.deep.equal([]);
  });

  it('names at the end who holds an older write, or a deleted record', () => {
    const behind = history([put('a', 1n), put('b', 2n)], [at(1n, saw('a', 1n))]);
    expect(checkConverged(behind).map(({ guarantee }) => guarantee)).to.deep.equal(['converged']);
    const undead = history([put('a', 1n), deletion(2n)], [at(1n, saw('a', 1n))]);
    expect(checkConverged(undead).map(({ guarantee }) => guarantee)).to.deep.equal(['converged']);
  });
});

import { expect } from 'chai';
import {
  formatMark,
  numberingOf,
  parseEpoch,
  parseMark,
  rewindOf,
  type StoreMark,
} from '../../../src/global-registry/table/rewind.ts';

const known: StoreMark = { storeId: 'a', term: 5n, revision: 100n, epoch: 1 };

describe('a store that was seen before', () => {
  const continued: readonly (readonly [string, Partial<StoreMark>])[] = [
    ['stands where it stood', {}],
    ['has moved on', { revision: 101n, term: 6n }],
    [
      'was confirmed by an operator, wherever it stands',
      { storeId: 'b', term: 1n, revision: 2n, epoch: 2 },
    ],
  ];
  for (const [what, change] of continued) {
    it(`is continued when it ${what}`, () =>
      expect(rewindOf(known, { ...known, ...change })).to.equal(undefined));
  }

  const rewound: readonly (readonly [string, Partial<StoreMark>, string])[] = [
    ['has an older revision', { revision: 99n }, 'from revision 100 to 99'],
    [
      'had fewer leaders, though it has newer revisions',
      { term: 2n, revision: 200n },
      'from term 5 to 2',
    ],
    [
      'has another identity',
      { storeId: 'b', revision: 200n },
      'store "a" has been replaced by "b"',
    ],
    ['has not been confirmed as often', { epoch: 0, revision: 200n }, 'from epoch 1 to 0'],
  ];
  for (const [what, change, message] of rewound) {
    it(`is not continued when it ${what}`, () =>
      expect(rewindOf(known, { ...known, ...change })).to.include(message));
  }

  it('is a first one to a process that remembers none', () =>
    expect(rewindOf(undefined, known)).to.equal(undefined));

  it('is remembered as it was', () => expect(parseMark(formatMark(known))).to.deep.equal(known));

  it('numbers its revisions anew with each confirmation', () => {
    expect(numberingOf({ ...known, epoch: 0 })).to.equal('a');
    expect(numberingOf(known)).to.equal('a/1');
    expect(parseEpoch(Buffer.from('12'))).to.equal(12);
    expect(parseEpoch(undefined)).to.equal(0);
    expect(parseEpoch(Buffer.from('x'))).to.equal(0);
  });
});

import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  type Change,
  type Collection,
  derive,
  sameValue,
  Table,
} from '../../src/mesh/collection.ts';

function record<K, V>(collection: Collection<K, V>): (readonly Change<K, V>[])[] {
  const batches: (readonly Change<K, V>[])[] = [];
  collection.observe(changes => batches.push(changes));
  return batches;
}

describe('a table', () => {
  it('gives what was put and announces it', () => {
    const table = new Table<string, number>('t');
    const batches = record(table);
    table.put('a', 1);
    expect(table.get('a')).to.equal(1);
    expect([...table.entries()]).to.deep.equal([['a', 1]]);
    expect(batches).to.deep.equal([[{ kind: 'put', key: 'a', value: 1 }]]);
  });

  it('announces nothing when a put changes nothing or a delete finds nothing', () => {
    const table = new Table<string, { readonly n: readonly number[] }>('t');
    table.put('a', { n: [1] });
    const batches = record(table);
    table.put('a', { n: [1] });
    table.delete('b');
    table.apply([]);
    expect(batches).to.deep.equal([]);
  });

  it('holds undefined as a value unlike an absent row', () => {
    const table = new Table<string, undefined>('t');
    const batches = record(table);
    table.put('a', undefined);
    expect(table.entries().has('a')).to.equal(true);
    expect(batches).to.have.length(1);
  });

  it('announces a batch once, in order, with only its effective changes', () => {
    const table = new Table<string, number>('t');
    table.put('a', 1);
    const batches = record(table);
    table.apply([
      { kind: 'put', key: 'a', value: 1 },
      { kind: 'put', key: 'b', value: 2 },
      { kind: 'delete', key: 'a' },
      { kind: 'delete', key: 'c' },
    ]);
    expect(batches).to.deep.equal([
      [
        { kind: 'put', key: 'b', value: 2 },
        { kind: 'delete', key: 'a' },
      ],
    ]);
  });

  it('replaces all rows in one batch of deletes, then real changes', () => {
    const table = new Table<string, number>('t');
    table.replaceAll([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]);
    const batches = record(table);
    table.replaceAll([
      ['c', 3],
      ['b', 20],
      ['d', 4],
    ]);
    expect(batches).to.deep.equal([
      [
        { kind: 'delete', key: 'a' },
        { kind: 'put', key: 'b', value: 20 },
        { kind: 'put', key: 'd', value: 4 },
      ],
    ]);
    expect(Object.fromEntries(table.entries())).to.deep.equal({ b: 20, c: 3, d: 4 });
  });

  it('shows an observer the state after the batch', () => {
    const table = new Table<string, number>('t');
    const seen: number[] = [];
    table.observe(() => seen.push(table.entries().size));
    table.replaceAll([
      ['a', 1],
      ['b', 2],
    ]);
    expect(seen).to.deep.equal([2]);
  });

  it('stops telling an observer that left, even one that leaves while being told', () => {
    const table = new Table<string, number>('t');
    const heard: string[] = [];
    const stop = table.observe(() => {
      heard.push('first');
      stop();
    });
    table.observe(() => heard.push('second'));
    table.put('a', 1);
    table.put('a', 2);
    expect(heard).to.deep.equal(['first', 'second', 'second']);
  });
});

describe('a derived collection', () => {
  it('is computed at once and again when any input changes', () => {
    const prices = new Table<string, number>('prices');
    const rate = new Table<'rate', number>('rate');
    prices.put('tea', 2);
    rate.put('rate', 10);
    const converted = derive('converted', [prices, rate], () =>
      [...prices.entries()].map(([key, price]) => [key, price * (rate.get('rate') ?? 1)] as const),
    );
    expect(converted.get('tea')).to.equal(20);
    prices.put('milk', 1);
    expect(converted.get('milk')).to.equal(10);
    rate.put('rate', 3);
    expect(Object.fromEntries(converted.entries())).to.deep.equal({ tea: 6, milk: 3 });
  });

  it('announces only rows that changed', () => {
    const input = new Table<string, number>('input');
    const parity = derive('parity', [input], () =>
      [...input.entries()].map(([key, n]) => [key, { even: n % 2 === 0 }] as const),
    );
    const batches = record(parity);
    input.put('a', 2);
    input.put('a', 4);
    input.put('a', 5);
    expect(batches).to.deep.equal([
      [{ kind: 'put', key: 'a', value: { even: true } }],
      [{ kind: 'put', key: 'a', value: { even: false } }],
    ]);
  });

  it('keeps its rows and hears nothing more once stopped', () => {
    const input = new Table<string, number>('input');
    input.put('a', 1);
    const copy = derive('copy', [input], () => [...input.entries()]);
    copy.stop();
    input.delete('a');
    expect(copy.get('a')).to.equal(1);
  });
});

describe('equality of values', () => {
  const one = new URLSearchParams();
  const equal: readonly [unknown, unknown][] = [
    [Number.NaN, Number.NaN],
    [null, null],
    [
      { a: 1, b: [2, { c: 3 }] },
      { b: [2, { c: 3 }], a: 1 },
    ],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
    [{ a: undefined }, { a: undefined }],
    [Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
    [{ key: one }, { key: one }],
  ];
  const different: readonly [unknown, unknown][] = [
    [0, -0],
    [1, '1'],
    [null, undefined],
    [null, {}],
    [{ a: undefined }, {}],
    [{ a: undefined }, { b: undefined }],
    [[], {}],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 1]],
    [Uint8Array.of(1), Uint8Array.of(2)],
    [Uint8Array.of(1), [1]],
    [{}, { toString: 1 }],
    [new Map([[1, 1]]), new Map()],
    [new Date(0), new Date(1)],
    [one, new URLSearchParams('a=1')],
  ];
  for (const [a, b] of equal) {
    it(`holds between ${show(a)} and ${show(b)}`, () => {
      expect(sameValue(a, b)).to.equal(true);
      expect(sameValue(b, a)).to.equal(true);
    });
  }
  for (const [a, b] of different) {
    it(`does not hold between ${show(a)} and ${show(b)}`, () => {
      expect(sameValue(a, b)).to.equal(false);
      expect(sameValue(b, a)).to.equal(false);
    });
  }
});

function show(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return Object.is(value, -0) ? '-0' : String(value);
  const kind = (value.constructor as { name?: string } | undefined)?.name ?? 'bare object';
  return `${kind} ${JSON.stringify(value)}`;
}

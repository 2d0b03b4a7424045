/** The list of certificates alive: what proves that an old root is drained, and what does not. */

import { expect } from 'chai';
import type { RootId } from '../../../src/mesh/root-slots.ts';
import { requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';
import { SvidLedger } from '../../../src/trust-federation/authority/svid-ledger.ts';

const ID = requireSpiffeId('spiffe://east.example/ns/shop/sa/cart');
const OLD = 'aa'.repeat(32) as RootId;
const NEW = 'bb'.repeat(32) as RootId;
const sha = (n: number): string => n.toString(16).padStart(64, '0');

describe('the ledger of certificates', () => {
  let now: number;
  let ledger: SvidLedger;
  beforeEach(() => {
    now = 1_000;
    ledger = make();
  });

  function make(entriesMax = 100): SvidLedger {
    return new SvidLedger({ entriesMax, now: () => now, onChange: () => undefined });
  }
  function issue(n: number, root: RootId, renews?: number, lifeMs = 100): void {
    const entry = { sha256: sha(n), id: ID, root, notAfterMs: now + lifeMs };
    ledger.issued(entry, renews === undefined ? undefined : sha(renews));
  }
  function serve(n: number, by = ledger, root = NEW): void {
    by.served({ sha256: sha(n), id: ID, root, notAfterMs: now + 100 });
  }
  const alive = (of = ledger): string[] => of.alive().map(({ sha256 }) => sha256);

  it('keeps the old certificate until its holder is seen with the next one', () => {
    issue(1, OLD);
    serve(1);
    issue(2, NEW, 1);
    expect(alive()).to.deep.equal([sha(1), sha(2)]);
    serve(1);
    expect(alive()).to.deep.equal([sha(1), sha(2)]);
    serve(2);
    expect(alive()).to.deep.equal([sha(2)]);
  });

  it('drops what was issued to nobody because the answer got lost', () => {
    issue(1, OLD);
    issue(2, OLD, 1);
    issue(3, NEW, 1);
    serve(3);
    expect(alive()).to.deep.equal([sha(3)]);
  });

  it('does not take one holder of an identity for another', () => {
    issue(1, OLD);
    issue(2, OLD);
    issue(3, NEW, 1);
    serve(3);
    expect(alive()).to.deep.equal([sha(2), sha(3)]);
  });

  it('forgets what has expired, and nothing earlier', () => {
    issue(1, OLD, undefined, 100);
    issue(2, OLD, undefined, 200);
    now += 100;
    expect(alive()).to.deep.equal([sha(2)]);
    now -= 3_600_000;
    expect(alive(), 'a clock set back brings nothing back and drops nothing').to.deep.equal([
      sha(2),
    ]);
    now += 3_600_100;
    expect(alive()).to.deep.equal([]);
  });

  it('learns again of a certificate that a crash made it forget, from whoever shows it', () => {
    serve(7, ledger, OLD);
    expect(ledger.alive().map(({ sha256, root }) => [sha256, root])).to.deep.equal([[sha(7), OLD]]);
    issue(8, NEW, 7);
    serve(8);
    expect(alive()).to.deep.equal([sha(8)]);
  });

  it('names the holders that were not heard of, each once, until they are or expire', () => {
    const unheard = (): string[] => ledger.unheard().map(({ sha256 }) => sha256);
    issue(1, OLD);
    issue(2, OLD);
    issue(3, NEW, 1);
    expect(unheard()).to.deep.equal([sha(3), sha(2)]);
    serve(3);
    expect(unheard()).to.deep.equal([sha(2)]);
    issue(4, NEW, 3);
    expect(unheard()).to.deep.equal([sha(2)]);
    now += 100;
    expect(unheard()).to.deep.equal([]);
  });

  it('survives a restart, successions included', () => {
    issue(1, OLD);
    issue(2, NEW, 1);
    const again = make();
    again.restore(ledger.serialise());
    expect(again.alive()).to.deep.equal(ledger.alive());
    serve(2, again);
    expect(alive(again)).to.deep.equal([sha(2)]);
  });

  it('says for how long it is incomplete when it is full or was lost, over restarts too', () => {
    ledger = make(2);
    issue(1, OLD, undefined, 500);
    issue(2, OLD, undefined, 100);
    expect(ledger.incompleteUntilMs).to.equal(undefined);
    issue(3, OLD, undefined, 100);
    expect(alive()).to.deep.equal([sha(2), sha(3)]);
    expect(ledger.incompleteUntilMs).to.equal(1_500);
    const again = make();
    again.restore(ledger.serialise());
    expect(again.incompleteUntilMs).to.equal(1_500);
    now = 1_500;
    expect(again.incompleteUntilMs).to.equal(undefined);
    again.lost(1_000);
    expect(again.incompleteUntilMs).to.equal(2_500);
  });

  it('makes room by forgetting what has expired before it forgets what has not', () => {
    ledger = make(2);
    issue(1, OLD, undefined, 10);
    issue(2, OLD);
    now += 20;
    issue(3, OLD);
    expect(alive()).to.deep.equal([sha(2), sha(3)]);
    expect(ledger.incompleteUntilMs).to.equal(undefined);
  });
});

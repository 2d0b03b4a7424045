/** The own bundle on disk: numbered once, never back, with the way from each set of roots to the next. */

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { pino } from 'pino';
import { succeed } from '../../../src/mesh/bundle-succession.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import { envelopeProofs } from '../../../src/trust-federation/bundles/bundle-envelope.ts';
import { OwnBundle } from '../../../src/trust-federation/bundles/own-bundle.ts';
import { PREDECESSORS_MAX } from '../../../src/wire/signed-statement.ts';
import { useTempDir } from '../../runtime/temp-dir.ts';
import {
  CLUSTER_SET,
  CLUSTER_SET_AUTHORITY,
  memberSvid,
  rootSigner,
} from '../../support/cluster-set.ts';
import { idOf, testAuthority } from '../pki.ts';

const NOW = Date.now();
const FIRST = testAuthority('west.example', NOW);
const CART = idOf(FIRST, 'ns/shop/sa/cart');
const WEB = idOf(FIRST, 'ns/shop/sa/web');

describe('the own bundle', () => {
  const dir = useTempDir();
  /** The authority's roots, old and new. */
  let roots = [FIRST];
  let member = memberSvid('west');
  const open = (): Promise<OwnBundle> =>
    OwnBundle.open({
      stateDir: dir(),
      clusterSet: CLUSTER_SET,
      cluster: parseClusterName('west'),
      content: () => ({
        ...FIRST.bundle,
        x509Authorities: roots.map(({ root }) => root.certificate.der),
      }),
      rootSigners: () => roots.map(rootSigner),
      member: () => member,
      log: pino({ level: 'silent' }),
      now: () => NOW,
    });
  beforeEach(() => {
    roots = [FIRST];
  });

  it('keeps its number while nothing changes, also over a restart and a renewed membership', async () => {
    const before = await open();
    const { sequence } = before.current();
    member = memberSvid('west');
    const after = await open();
    expect(after.current().sequence).to.equal(sequence);
    expect(after.offer().current.signatures[0]?.chain).to.deep.equal(member.chain);
    expect((await after.update()).sequence).to.equal(sequence);
  });

  it('gets a new number for each change, remembers who is revoked and why, and forgets on demand', async () => {
    const own = await open();
    const { sequence } = own.current();
    await Promise.all([own.revoke(WEB, 'lost'), own.revoke(CART, 'stolen')]);
    expect(own.current()).to.deep.include({ sequence: sequence + 2, revoked: [CART, WEB] });
    const again = await open();
    expect(again.revoked().map(({ id, reason }) => [id, reason])).to.deep.equal([
      [WEB, 'lost'],
      [CART, 'stolen'],
    ]);
    await again.restore(WEB);
    expect(again.current()).to.deep.include({ sequence: sequence + 3, revoked: [CART] });
    expect(await again.restore(WEB).then(String, String)).to.match(/not revoked/);
    expect(again.isRevoked(CART)).to.equal(true);
  });

  it("revokes nobody else's identities", async () => {
    const own = await open();
    const foreign = idOf(testAuthority('east.example', NOW), 'ns/a/sa/b');
    expect(await own.revoke(foreign, 'x').then(() => 'done', String)).to.match(/its own cluster/);
    expect((await own.revoke(WEB, 'x')).revoked).to.deep.equal([WEB]);
  });

  it('shows any reader the way from the roots it knows, whatever was revoked in between', async () => {
    const own = await open();
    const start = own.offer().current;
    const proofs = envelopeProofs(
      new Map([[CLUSTER_SET, CLUSTER_SET_AUTHORITY.bundle]]),
      () => NOW,
    );
    const reads = (successor: 'roots'): string =>
      succeed({ signed: start, successor }, own.offer(), proofs).kind;
    for (let rollover = 0; rollover < PREDECESSORS_MAX / 2; rollover++) {
      const next = testAuthority('west.example', NOW);
      roots = [...roots, next];
      await own.update();
      for (let i = 0; i < 5; i++) await own.revoke(idOf(FIRST, `ns/a/sa/r${rollover}-${i}`), '');
      roots = [next];
      await own.update();
    }
    expect(own.offer().predecessors.length).to.be.at.most(PREDECESSORS_MAX);
    expect(reads('roots')).to.equal('accepted');
    roots = [...roots, testAuthority('west.example', NOW)];
    await own.update();
    roots = roots.slice(1);
    await own.update();
    expect(own.offer().predecessors).to.have.length(PREDECESSORS_MAX);
    // One rollover too many: an operator has to say whom to trust.
    expect(reads('roots')).to.equal('refused');
  });

  it('does not start counting anew from a damaged file, and does after a lost one, further on', async () => {
    const own = await open();
    await own.revoke(CART, '');
    const { sequence } = own.current();
    const file = join(dir(), 'own-bundle');
    await writeFile(file, 'junk', { mode: 0o600 });
    expect(await open().then(String, String)).to.match(/state file header/);
    await rm(file);
    expect((await open()).current().sequence).to.be.at.least(sequence - 1);
  });
});

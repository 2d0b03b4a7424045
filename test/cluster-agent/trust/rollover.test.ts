/** The runner of rollovers beside itself: several who move it at once, and a bundle that takes its time. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { RolloverRunner } from '../../../src/cluster-agent/trust/rollover.ts';
import { Table } from '../../../src/mesh/collection.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import { parseTrustDomain, type TrustDomain } from '../../../src/mesh/spiffe-id.ts';
import type { TrustAck } from '../../../src/mesh/trust-acks.ts';
import type { ClusterAuthority } from '../../../src/trust-federation/authority/cluster-authority.ts';
import { openClusterAuthority } from '../../../src/trust-federation/authority/open-authority.ts';
import { SvidLedger } from '../../../src/trust-federation/authority/svid-ledger.ts';
import type { OwnBundle } from '../../../src/trust-federation/bundles/own-bundle.ts';
import type { IdentityKeeper } from '../../../src/trust-federation/identity/identity-keeper.ts';
import { silent } from '../../support/data-plane.ts';

const trustDomain = parseTrustDomain('west.example');

describe('the runner of rollovers', () => {
  let dir: string;
  let authority: ClusterAuthority;
  let acks: Table<TrustDomain, TrustAck>;
  let sequence: number;
  /** The next version of the bundle, while it is being made. */
  let making: Promise<void>;
  let runner: RolloverRunner;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-rollover-'));
    const now = Date.now;
    authority = await openClusterAuthority({
      dir,
      cluster: parseClusterName('west'),
      trustDomain,
      now,
    });
    acks = new Table('acks');
    sequence = 1;
    making = Promise.resolve();
    const ownBundle = {
      current: () => ({ ...authority.bundle(), sequence }),
      update: async () => {
        await making;
        sequence += 1;
      },
    };
    runner = new RolloverRunner({
      cluster: parseClusterName('west'),
      authority,
      ownBundle: ownBundle as unknown as OwnBundle,
      identity: { current: () => ({ chain: [] }) } as unknown as IdentityKeeper,
      ledger: new SvidLedger({ entriesMax: 10, now, onChange: () => undefined }),
      ledgerFile: { flush: () => Promise.resolve() },
      acks,
      members: new Table('members'),
      records: { recordsOf: () => new Map() },
      log: silent,
      now,
    });
    everybodyHas(sequence);
  });
  afterEach(() => rm(dir, { recursive: true }));

  function everybodyHas(applied: number): void {
    acks.put(trustDomain, {
      trustDomain,
      sequence: applied,
      offered: applied,
      proxies: 1,
      current: 1,
      laggards: [],
    });
  }

  async function outcomeOf(move: Promise<void>): Promise<string> {
    return move.then(
      () => 'moved',
      (error: unknown) => (isMeshError(error) ? error.code : String(error)),
    );
  }
  const step = (): string | undefined => authority.state.rollover?.step;

  it('takes nobody for ready who has the bundle from before the step, also while the next is being made', async () => {
    let made: () => void = () => undefined;
    making = new Promise(resolve => (made = resolve));
    const started = runner.start(false);
    const advanced = outcomeOf(runner.advance());
    made();
    await started;
    expect(await advanced).to.equal('REQUEST_INVALID');
    expect(step()).to.equal('announced');
    everybodyHas(2);
    expect(await outcomeOf(runner.advance())).to.equal('moved');
    expect(step()).to.equal('trusted');
  });

  it('judges each of several moves at once by the step that it leaves', async () => {
    await runner.start(false);
    everybodyHas(2);
    // Each of these makes a version of the bundle here, and nobody has the second one.
    const moves = [runner.advance(), runner.advance(), runner.advance()].map(outcomeOf);
    expect(await Promise.all(moves)).to.deep.equal(['moved', 'REQUEST_INVALID', 'REQUEST_INVALID']);
    expect(step()).to.equal('trusted');
  });
});

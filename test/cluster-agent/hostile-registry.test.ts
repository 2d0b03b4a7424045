/**
 * A registry that lies about bundles, and an agent that keeps what it has, says so, and goes on with the
 * honest twin: real signatures, real files, through to what a proxy would be sent.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { parseClusterName } from '../../src/mesh/names.ts';
import type { SignedBundle } from '../../src/mesh/signed-bundle.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import {
  formatRevocation,
  signRevocation,
} from '../../src/trust-federation/bundles/revocation-statement.ts';
import type { RegistryRecord } from '../../src/wire/registry-records.ts';
import { useTempDir } from '../runtime/temp-dir.ts';
import {
  bundleRecord,
  CLUSTER_SET,
  CLUSTER_SET_AUTHORITY,
  envelopeOf,
  rootSigner,
} from '../support/cluster-set.ts';
import { type TestAuthority, testAuthority } from '../trust-federation/pki.ts';
import { FakeRegistry } from './fake-registry.ts';
import { debugOf, eventually, type RunningAgent, startAgent } from './harness.ts';
import { publishedCluster } from './published-cluster.ts';

const WEST = parseClusterName('west');
const FIRST = testAuthority('west.example', Date.now());
const NEXT = testAuthority('west.example', Date.now());
const EVIL = testAuthority('west.example', Date.now());

function version(sequence: number, ...authorities: readonly TestAuthority[]): TrustBundle {
  const x509Authorities = authorities.map(({ root }) => root.certificate.der);
  return { ...FIRST.bundle, sequence, x509Authorities };
}
function record(current: SignedBundle, ...predecessors: readonly SignedBundle[]): RegistryRecord {
  return bundleRecord({ current, predecessors });
}
const one = envelopeOf('west', version(1, FIRST), [FIRST]);
const two = envelopeOf('west', version(2, FIRST, NEXT), [FIRST, NEXT]);
const three = envelopeOf('west', version(3, NEXT), [NEXT]);

describe('a registry that lies', () => {
  let registry: FakeRegistry;
  let agent: RunningAgent;
  afterEach(() => agent.stop());
  const dir = useTempDir();
  beforeEach(async () => {
    registry = new FakeRegistry();
    const others = publishedCluster('west', ['payments-0']).filter(({ kind }) => kind !== 'bundle');
    registry.write(WEST, [...others, record(one)]);
    agent = await startAgent({ dir: dir(), registry });
    await believes(1, 1);
  });

  const held = async (): Promise<{ sequence: number; roots: readonly string[] } | undefined> => {
    const bundles = await debugOf<{ trustDomain: string; sequence: number; roots: string[] }[]>(
      agent,
      'trust',
    );
    return bundles.find(({ trustDomain }) => trustDomain === 'west.example');
  };
  async function believes(sequence: number, roots: number): Promise<void> {
    await eventually(`version ${sequence} with ${roots} roots`, async () => {
      const bundle = await held();
      return bundle?.sequence === sequence && bundle.roots.length === roots;
    });
  }
  async function names(kind: string): Promise<void> {
    await eventually(`"${kind}" is named`, async () =>
      (await debugOf<{ cluster: string; kind: string }[]>(agent, 'claims')).some(
        claim => claim.cluster === 'west' && claim.kind === kind,
      ),
    );
    const { host, port } = agent.addresses.admin;
    const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
    expect(metrics).to.match(new RegExp(`claims_refused_total\\{kind="${kind}",[^}]*\\} [1-9]`));
  }

  const tampered = Buffer.from((record(two) as { bundle: { signed: Uint8Array } }).bundle.signed);
  tampered[tampered.indexOf('spiffe_sequence') + 'spiffe_sequence":'.length] = '9'.charCodeAt(0);

  const lies: readonly (readonly [what: string, lie: RegistryRecord | undefined, kind: string])[] =
    [
      [
        'injects roots of its own',
        record(envelopeOf('west', version(2, EVIL), [EVIL])),
        'bundle-not-succeeding',
      ],
      [
        'injects them as an empty bundle',
        record(envelopeOf('west', version(2), [EVIL])),
        'bundle-not-succeeding',
      ],
      [
        'changes a version',
        { kind: 'bundle', bundle: { signed: tampered, predecessors: [] } },
        'bundle-not-succeeding',
      ],
      [
        'replays an older version',
        record(envelopeOf('west', version(0, FIRST), [FIRST])),
        'bundle-older',
      ],
      ['hides the versions in between', record(three), 'bundle-not-succeeding'],
      [
        'shows two versions of one number',
        record(envelopeOf('west', version(1, FIRST, NEXT), [FIRST])),
        'bundle-conflict',
      ],
      [
        "swaps two clusters' records",
        record(envelopeOf('eu', { ...EVIL.bundle, sequence: 2 }, [EVIL])),
        'bundle-of-other-cluster',
      ],
      [
        'sends junk',
        { kind: 'bundle', bundle: { signed: Buffer.from('junk'), predecessors: [] } },
        'bundle-unreadable',
      ],
      ['withholds the bundle', undefined, 'bundle-missing'],
    ];
  for (const [what, lie, kind] of lies) {
    it(`and ${what} is named and changes nothing; the honest versions are taken`, async () => {
      if (lie === undefined) registry.write(WEST, [], [{ kind: 'bundle' }]);
      else registry.write(WEST, [lie]);
      await names(kind);
      expect((await held())?.sequence).to.equal(1);
      expect((await held())?.roots).to.have.length(1);
      registry.write(WEST, [record(three, two)]);
      await believes(3, 1);
      expect(await debugOf(agent, 'claims')).to.deep.equal([]);
    });
  }

  it('is not believed after a restart either, when even its own past is forgotten', async () => {
    registry.write(WEST, [record(two)]);
    await believes(2, 2);
    await agent.stop();
    await rm(join(dir(), 'agent', 'last-known-good'));
    registry.write(WEST, [record(one)]);
    agent = await startAgent({ dir: dir(), registry });
    await names('bundle-older');
    await believes(2, 2);
  });

  it('cannot revoke a cluster, and the ClusterSet can; nor can it undo that', async () => {
    const revocation = (
      signer: TestAuthority,
      revoked: boolean,
      issuedAtMs: number,
    ): Uint8Array => {
      const statement = {
        clusterSet: CLUSTER_SET,
        cluster: WEST,
        revoked,
        issuedAtMs,
        reason: 'x',
      };
      const signed = signRevocation(statement, rootSigner(signer));
      return formatRevocation({ ...statement, signed });
    };
    const say = (statement: Uint8Array): void => {
      registry.want({
        kind: 'cluster-revocation',
        cluster: WEST,
        statement,
        reason: 'x',
        by: 'me',
        atMs: 1,
      });
    };
    const now = Date.now();
    say(revocation(EVIL, true, now));
    await names('revocation-not-believed');
    await believes(1, 1);
    say(revocation(CLUSTER_SET_AUTHORITY, true, now + 1));
    await believes(1, 0);
    say(revocation(EVIL, false, now + 2));
    await names('revocation-not-believed');
    await believes(1, 0);
    say(revocation(CLUSTER_SET_AUTHORITY, false, now));
    await agent.stop();
    agent = await startAgent({ dir: dir(), registry });
    await believes(1, 0);
    say(revocation(CLUSTER_SET_AUTHORITY, false, now + 3));
    await believes(1, 1);
  });
});

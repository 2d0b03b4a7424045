/** What `isthmus trust show|check|import` and `isthmus leave` find and do in a mesh that runs. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { formatTrust } from '../../src/cli/commands/trust-show.ts';
import { rootMaterialIn } from '../../src/cli/imported-files.ts';
import { agentOf, operatorChannel } from '../../src/cli/operator.ts';
import { gatherTrust } from '../../src/cli/trust-material.ts';
import { AgentOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/agent.ts';
import { MembershipOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/membership.ts';
import { TrustMaterialDefinition } from '../../src/wire/generated/isthmus/operator/v1/trust_material.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';
import { CA, makeCa, ownOf } from '../trust-federation/openssl-pki.ts';

const PAYMENTS = 'http://payments.shop.svc.clusterset.local/';

describe('the trust of a mesh', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let dir: string;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-trust-'));
    mesh = await startMesh({ clusters: ['east', 'west'] });
  });
  after(async () => {
    await mesh.close();
    await rm(dir, { recursive: true });
  });

  const problems = async () => (await gatherTrust(mesh.fleet, Date.now())).problems;
  const callEast = async (): Promise<void> => {
    const { status } = await mesh.call('east/web', PAYMENTS);
    expect(status).to.equal(200);
  };

  it('is shown and found in order, and an agent that is away is a finding', async () => {
    await eventually(async () => expect(await problems()).to.deep.equal([]));
    const text = formatTrust(await gatherTrust(mesh.fleet, Date.now()), Date.now());
    for (const words of ['root', 'issuer', 'membership', 'east.example', 'west.example']) {
      expect(text).to.include(words);
    }
    await mesh.stop('west/agent');
    expect((await problems()).map(({ kind }) => kind)).to.deep.equal(['unreachable']);
    await mesh.start('west/agent');
    await eventually(async () => expect(await problems()).to.deep.equal([]));
  });

  it('moves to an imported CA under a company’s root, and calls go on', async () => {
    await eventually(callEast);
    makeCa(dir, { name: 'corporate', algorithm: 'rsa:2048', extensions: CA });
    makeCa(dir, { name: 'ca', issuer: 'corporate', extensions: ownOf('west.example') });
    const at = (file: string) => join(dir, file);
    const files = { root: at('corporate.crt'), intermediate: at('ca.crt'), key: at('ca.key') };
    const { root, intermediate = new Uint8Array(), key } = rootMaterialIn(files);
    const west = agentOf(mesh.fleet, 'west');
    const channel = await operatorChannel(west, TrustMaterialDefinition);
    const status = await channel.unary(TrustMaterialDefinition.methods.importRoot, {
      root: Buffer.from(root),
      intermediate: Buffer.from(intermediate),
      key: key.export({ type: 'pkcs8', format: 'der' }),
      auto: false,
    });
    channel.close();
    expect(status.roots.map(({ state }) => state).sort()).to.deep.equal(['active', 'prepared']);
    const operator = await operatorChannel(west, AgentOperatorDefinition);
    const { advanceRollover } = AgentOperatorDefinition.methods;
    for (const step of ['trusted', 'active', 'tainted']) {
      await eventually(async () => {
        const { rollover } = await operator.unary(advanceRollover, { forceReason: '' });
        expect(rollover?.step).to.equal(step);
      }, 30_000);
      await callEast();
    }
    operator.close();
    await eventually(async () => expect(await problems()).to.deep.equal([]));
    const { clusters } = await gatherTrust(mesh.fleet, Date.now());
    const chain = clusters.find(({ cluster }) => cluster === 'west')?.agentChain ?? [];
    await callEast();
    expect(chain.length).to.be.greaterThan(1);
  });

  it('outlives a cluster that leaves: the others see it go at once, and it publishes no more', async () => {
    const clusters = async (): Promise<string[]> => {
      const admin = agentOf(mesh.fleet, 'east').admin;
      const response = await fetch(`http://${admin.host}:${admin.port}/debug/clusters`);
      return ((await response.json()) as { name: string }[]).map(({ name }) => name);
    };
    const records = async (): Promise<number> => {
      const { admin } = mesh.fleet.registry;
      const response = await fetch(`http://${admin.host}:${admin.port}/debug/records`);
      const all = (await response.json()) as { cluster: string }[];
      return all.filter(({ cluster }) => cluster === 'west').length;
    };
    expect(await clusters()).to.deep.equal(['east', 'west']);
    expect(await records()).to.be.greaterThan(0);
    const channel = await operatorChannel(mesh.fleet.registry, MembershipOperatorDefinition);
    const { endMembership } = MembershipOperatorDefinition.methods;
    await channel.unary(endMembership, { cluster: 'west', by: 'tester', reason: 'moved away' });
    channel.close();
    await eventually(async () => expect(await clusters()).to.deep.equal(['east']));
    await mesh.stop('west/agent');
    await mesh.start('west/agent');
    await mesh.call('west/ledger', 'http://ledger.shop.svc.cluster.local/');
    expect(await records()).to.equal(0);
  });
});

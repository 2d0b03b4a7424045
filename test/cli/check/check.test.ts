/** `isthmus check` against a whole mesh: it holds while the mesh does, and names what was taken away. */

import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdminBody } from '../../../src/cli/admin-client.ts';
import { gatherFacts } from '../../../src/cli/check/facts.ts';
import { judge, type Truth } from '../../../src/cli/check/truths.ts';
import { findSidecar } from '../../../src/cli/fleet.ts';
import { formatAddress } from '../../../src/mesh/address.ts';
import type { ProcessFacts } from '../../../src/runtime/process-facts.ts';
import { type Mesh, startMesh } from '../../support/mesh.ts';

const POLL_MS = 100;
const WITHIN_MS = 20_000;

describe('isthmus check on a mesh', function () {
  this.timeout(60_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west'] });
  });
  after(() => mesh.close());

  async function untilTruths(what: string, hold: (truths: Truth[]) => boolean): Promise<Truth[]> {
    const deadline = Date.now() + WITHIN_MS;
    for (;;) {
      const truths = judge(await gatherFacts(mesh.fleet, Date.now), Date.now());
      if (hold(truths)) return truths;
      if (Date.now() > deadline) {
        const found = JSON.stringify(truths.filter(({ findings }) => findings.length > 0));
        throw new Error(`never ${what}: ${found}`);
      }
      await new Promise(resolve => setTimeout(resolve, POLL_MS));
    }
  }
  const allHold = (truths: Truth[]): boolean => truths.every(({ holds }) => holds);

  it('holds while everything runs', async () => {
    await untilTruths('held', allHold);
  });

  it('names the agent and the gateway that were stopped, and holds again once they are back', async () => {
    await mesh.stop('west/agent', 'west/gateway');
    const truths = await untilTruths('found', found => found.filter(t => !t.holds).length >= 3);
    const subjects = (name: string): string[] =>
      truths.find(truth => truth.name === name)?.findings.map(({ subject }) => subject) ?? [];
    expect(subjects('every process answers and is ready')).to.include.members([
      'west/agent',
      'west/gateway',
    ]);
    expect(subjects('every gateway answers')).to.deep.equal(['west/gateway']);
    await mesh.start('west/agent', 'west/gateway');
    await untilTruths('held again', allHold);
  });

  it('names what the registry refuses to take, with its reason, and holds again once it is corrected', async () => {
    const file = join(mesh.configDir, 'west', 'services.yaml');
    const right = readFileSync(file, 'utf8');
    const gateway = mesh.fleet.clusters.find(({ name }) => name === 'east')?.gateway.listen;
    const wrong = right.replace(
      /(name: payments\n(?:.*\n)*?.*sidecar: )[0-9.:]+/,
      `$1${gateway === undefined ? '' : formatAddress(gateway)}`,
    );
    expect(wrong).to.not.equal(right);
    writeFileSync(file, wrong);
    const truths = await untilTruths('found', found =>
      found.some(({ name, holds }) => name === 'exports are accepted' && !holds),
    );
    const [finding] = truths.flatMap(({ findings }) => findings.filter(f => f.warning !== true));
    expect(finding?.subject).to.equal('west/agent');
    expect(finding?.cause).to.match(/PERMISSION_DENIED.*is the gateway of cluster "east"/);
    writeFileSync(file, right);
    await untilTruths('held again', allHold);
  });

  it('says why an agent has no registry', async () => {
    await mesh.stop('registry');
    const reachable = (truths: Truth[]) =>
      truths.find(({ name }) => name.startsWith('the registry is reachable'));
    await untilTruths('found', found => {
      const findings = reachable(found)?.findings ?? [];
      return findings.filter(({ cause }) => cause.includes('ECONNREFUSED')).length === 2;
    });
    await mesh.start('registry');
    await untilTruths('held again', allHold);
  });

  it('names a state directory opened to others while its process runs', async () => {
    const { admin } = findSidecar(mesh.fleet, 'east/web');
    const says = await askAdminBody<ProcessFacts>(admin, '/debug/process');
    const dir = says?.stateDir ?? '';
    const { mode } = statSync(dir);
    chmodSync(dir, 0o755);
    await untilTruths(
      'named',
      truths =>
        truths.find(t => t.name.startsWith('state dir'))?.findings[0]?.subject === 'east/web',
    );
    chmodSync(dir, mode & 0o777);
    await untilTruths('held again', allHold);
  });
});

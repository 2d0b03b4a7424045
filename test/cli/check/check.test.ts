/** `isthmus check` against a whole mesh: it holds while the mesh does, and names what was taken away. */

import { chmodSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdminBody } from '../../../src/cli/admin-client.ts';
import { gatherFacts } from '../../../src/cli/check/facts.ts';
import { judge, type Truth } from '../../../src/cli/check/truths.ts';
import { findSidecar } from '../../../src/cli/fleet.ts';
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
    expect(subjects('every gateway takes connections')).to.deep.equal(['west/gateway']);
    await mesh.start('west/agent', 'west/gateway');
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

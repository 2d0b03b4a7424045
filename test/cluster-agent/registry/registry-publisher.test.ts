import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { MeshError } from '../../../src/mesh/errors.ts';
import { useTempDir } from '../../runtime/temp-dir.ts';
import { FakeRegistry } from '../fake-registry.ts';
import { debugOf, eventually, type RunningAgent, SERVICES, startAgent } from '../harness.ts';

describe('what a registry refuses to take', () => {
  let registry: FakeRegistry;
  let agent: RunningAgent;

  afterEach(() => agent.stop());
  const dir = useTempDir();
  beforeEach(async () => {
    registry = new FakeRegistry();
    agent = await startAgent({ dir: dir(), registry });
    await eventually('it is published', () => registry.published.length > 0);
  });

  const problem = async () =>
    (await debugOf<{ publication?: { code: string } }>(agent, 'registry')).publication?.code;
  const exportAs = (workload: string) =>
    writeFile(join(dir(), 'services.yaml'), SERVICES.replace('checkout-0', workload));

  it('is named until it is taken', async () => {
    registry.refusal = new MeshError('PERMISSION_DENIED', 'not yours');
    await exportAs('checkout-1');
    await eventually('the refusal is named', async () => (await problem()) === 'PERMISSION_DENIED');
    registry.refusal = undefined;
    await eventually('it is taken', async () => (await problem()) === undefined);
  });

  it('is named no longer once it is not wanted any more', async () => {
    registry.refusal = new MeshError('PERMISSION_DENIED', 'not yours');
    await exportAs('checkout-1');
    await eventually('the refusal is named', async () => (await problem()) === 'PERMISSION_DENIED');
    const taken = registry.published.length;
    await exportAs('checkout-0');
    await eventually('nothing is refused', async () => (await problem()) === undefined);
    expect(registry.published).to.have.lengthOf(taken);
  });
});

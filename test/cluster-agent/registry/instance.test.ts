import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { nextInstance } from '../../../src/cluster-agent/registry/instance.ts';

describe("an agent process's name", () => {
  let stateDir: string;

  beforeEach(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'isthmus-instance-'));
  });
  afterEach(() => rm(stateDir, { recursive: true }));

  it('is new each time and comes with those before it, newest first', async () => {
    const first = await nextInstance(stateDir);
    const second = await nextInstance(stateDir);
    const third = await nextInstance(stateDir);
    expect(first.previous).to.deep.equal([]);
    expect(third.previous).to.deep.equal([second.name, first.name]);
    expect(new Set([first.name, second.name, third.name]).size).to.equal(3);
  });

  it('comes with a bounded number of them', async () => {
    for (let i = 0; i < 20; i++) await nextInstance(stateDir);
    const { previous } = await nextInstance(stateDir);
    expect(previous).to.have.length(8);
  });

  it('is drawn without them when their file is damaged', async () => {
    await nextInstance(stateDir);
    await writeFile(join(stateDir, 'instances'), 'garbage', { mode: 0o600 });
    expect((await nextInstance(stateDir)).previous).to.deep.equal([]);
    expect((await nextInstance(stateDir)).previous).to.have.length(1);
  });
});

/** What a process says of itself, which `isthmus check` compares between processes. */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { processFacts } from '../../src/runtime/process-facts.ts';
import { VERSION } from '../../src/runtime/version.ts';

describe('process facts', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'isthmus-facts-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('name the version, the clock and a private state directory', () => {
    let nowMs = 1_000;
    const read = processFacts(dir, () => nowMs);
    nowMs = 5_000;
    expect(read()).to.include({
      version: VERSION,
      startedMs: 1_000,
      nowMs: 5_000,
      stateDir: dir,
      pid: process.pid,
    });
    expect(read()).not.to.have.property('stateDirProblem');
  });

  it('name a state directory that was opened to others after the start', () => {
    const read = processFacts(dir, () => 1_000);
    chmodSync(dir, 0o755);
    expect(read().stateDirProblem).to.contain('mode 0755');
  });

  it('warn of a Node.js without security fixes', () => {
    expect(processFacts(dir, () => Date.parse('2040-01-01'))().warnings).to.have.length(1);
  });
});

/** The demo as a person runs it: real processes, and for the story a real etcd. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { callThrough } from '../../src/cli/call.ts';
import type { StepReport } from '../../src/cli/demo/narrator.ts';
import { readFleet } from '../../src/cli/fleet.ts';
import { parseAddress } from '../../src/mesh/address.ts';
import { closeServer, listen } from '../../src/runtime/listen.ts';
import { relocate } from '../support/relocate.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe('isthmus demo', function () {
  this.timeout(120_000);
  let dir: string;
  let configDir: string;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'isthmus-test-'));
    configDir = join(dir, 'clusters');
    await relocate(join(ROOT, 'clusters'), configDir);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  function startDemo(...args: string[]): { child: ChildProcess; finished: Promise<Finished> } {
    const child = spawn(
      process.execPath,
      [join(ROOT, 'bin/isthmus.js'), 'demo', '--config-dir', configDir, ...args],
      // The run folder is made here, so that what is left behind can be seen.
      { env: { ...process.env, TMPDIR: dir, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const finished = new Promise<Finished>(resolve =>
      child.once('close', code => resolve({ code, stdout, stderr })),
    );
    return { child, finished };
  }

  function expectNothingLeft(): void {
    expect(readdirSync(dir)).to.deep.equal(['clusters']);
    expect(processesNaming(dir)).to.deep.equal([]);
  }

  it('tells its whole story on a real etcd, every step held, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await startDemo('--check', '--json', '--etcd').finished;
    const steps = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as StepReport);
    const broken = steps.flatMap(step => step.checks.filter(check => !check.held));
    expect(broken, stderr).to.deep.equal([]);
    expect(steps.map(step => step.step)).to.deep.equal([1, 2, 3, 4, 5]);
    expect(code, stderr).to.equal(0);
    expectNothingLeft();
  });

  it('tells it with a third cluster, for people to read', async () => {
    const { code, stdout, stderr } = await startDemo('--check', '--clusters', '3').finished;
    expect(stdout + stderr).to.contain('All 5 steps held.');
    expect(code).to.equal(0);
    expectNothingLeft();
  });

  it('stays up, prints commands that work, and ends everything on Ctrl-C', async () => {
    const { child, finished } = startDemo();
    const shown = await until(child, 'npx isthmus call');
    const [, proxy, url] = /curl -s -x (\S+) (\S+)/.exec(shown) ?? [];
    expect(proxy).to.be.a('string');
    const { body } = await callThrough(parseAddress(proxy!.replace('http://', '')), url!);
    expect(body).to.contain('payments-west-0');
    child.kill('SIGINT');
    expect((await finished).code).to.equal(0);
    expectNothingLeft();
  });

  it('says which address is taken, and by whom to look, when a port is in use', async () => {
    // Reads what comes, or it would never notice that the demo has gone.
    const taken = createServer(socket => socket.resume());
    const { admin } = readFleet(configDir).registry;
    await listen(taken, admin);
    const { code, stderr } = await startDemo('--check').finished;
    await closeServer(taken);
    expect(code).to.equal(1);
    expect(stderr).to.contain(`127.0.0.1:${admin.port}`).and.to.contain('taken by another process');
    expectNothingLeft();
  });
});

/** Resolves with what was printed once it contains the text. */
function until(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let shown = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      if (shown.includes(text)) resolve(shown);
    });
    child.once('close', () => reject(new Error(`ended before printing "${text}":\n${shown}`)));
  });
}

function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^[0-9]+$/.test(name))
    .flatMap(pid => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return []; // Ended while we looked.
      }
    })
    .filter(command => command.includes(text));
}

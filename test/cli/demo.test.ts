/** The demo as a person runs it: real processes, and for the story a real etcd. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { StepReport } from '../../src/cli/demo/narrator.ts';
import { readFleet } from '../../src/cli/fleet.ts';
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

  it('tells it with a third cluster for people to read, stays up, prints commands that work, and ends on Ctrl-C', async () => {
    const { child, finished } = startDemo('--clusters', '3');
    const shown = await until(child, 'Ctrl-C ends every process');
    expect(shown).to.contain('All 5 steps held.');
    const commands = shown.split('\n').filter(line => /^ {2}(curl|npx isthmus) /.test(line));
    expect(commands).to.have.length.of.at.least(7);
    expect(commands.join()).to.contain('npx isthmus drill east --dry-run');
    for (const command of commands) {
      const { code, stdout, stderr } = await runShell(command);
      expect(code, `${command}: ${stdout}${stderr}`).to.equal(0);
      expect(stdout, command).to.not.equal('');
    }
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
    expect(stderr).to.contain(`127.0.0.1:${admin.port}`).and.to.contain('does another demo run');
    expectNothingLeft();
  });
});

/** As typed in the project's folder. */
function runShell(command: string): Promise<Finished> {
  const here = command.replace('npx isthmus', `${process.execPath} bin/isthmus.js`);
  return new Promise(resolve => {
    const child = execFile('sh', ['-c', here], { cwd: ROOT }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

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

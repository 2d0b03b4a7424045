import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { useTempDir } from './temp-dir.ts';

const FIXTURE = fileURLToPath(new URL('fixtures/process.js', import.meta.url));

describe('a process', () => {
  const dir = useTempDir();
  const started: ChildProcess[] = [];
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
  });

  class Run {
    stdout = '';
    stderr = '';
    readonly child: ChildProcess;
    readonly exit: Promise<unknown>;

    constructor(args: readonly string[]) {
      const child = spawn(process.execPath, [FIXTURE, ...args], {
        env: { ...process.env, ISTHMUS_LOG: 'info' },
      });
      child.stdout.on('data', (text: Buffer) => {
        this.stdout += String(text);
      });
      child.stderr.on('data', (text: Buffer) => {
        this.stderr += String(text);
      });
      this.child = child;
      this.exit = once(child, 'close').then(([code, signal]: unknown[]) => code ?? signal);
      started.push(child);
    }

    get logs(): Record<string, unknown>[] {
      return this.stderr
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as Record<string, unknown>);
    }

    async logged(text: string): Promise<void> {
      while (!this.stderr.includes(`"${text}"`)) {
        await Promise.race([once(this.child.stderr!, 'data'), this.exit.then(() => fail(this))]);
      }
    }
  }

  function fail(run: Run): never {
    throw new Error(`ended early:\n${run.stderr}`);
  }

  async function configured(mode: string, ...args: string[]): Promise<Run> {
    const file = join(dir(), 'config.yaml');
    await writeFile(file, `stateDir: state\nmode: ${mode}\n`);
    return new Run(['--config', file, ...args]);
  }

  it('checks a good configuration, says so and exits 0 without starting', async () => {
    const run = await configured('serve', '--check-config');
    expect(await run.exit).to.equal(0);
    expect(run.stdout).to.match(/^config file ".*config\.yaml" is valid\n$/);
    expect(run.stderr).to.equal('');
  });

  it('checks a bad configuration, lists its problems and exits 2', async () => {
    const run = await configured('sing\nmoed: serve', '--check-config');
    expect(await run.exit).to.equal(2);
    expect(run.stdout).to.equal('');
    expect(run.stderr).to.include('isthmus fixture: config file').and.include('has 2 problems');
    expect(run.stderr).to.include('moed: unknown key, did you mean "mode"?');
  });

  it('does not start from a bad configuration either', async () => {
    const run = await configured('sing');
    expect(await run.exit).to.equal(2);
  });

  it('exits 2 when the configuration cannot be read, naming the file', async () => {
    const run = new Run(['--config', join(dir(), 'nowhere.yaml')]);
    expect(await run.exit).to.equal(2);
    expect(run.stderr).to.include('nowhere.yaml').and.include('does not exist');
  });

  it('exits 2 when the configuration is larger than 1 MiB', async () => {
    await writeFile(join(dir(), 'big.yaml'), '#'.repeat(1024 * 1024 + 1));
    const run = new Run(['--config', join(dir(), 'big.yaml')]);
    expect(await run.exit).to.equal(2);
    expect(run.stderr).to.include('is 1048577 bytes long; the limit is 1048576');
  });

  it('exits 2 with its usage when no configuration is named, or an option is unknown', async () => {
    const bare = new Run([]);
    expect(await bare.exit).to.equal(2);
    expect(bare.stderr).to.include('--config FILE is required').and.include('Usage:');
    const unknown = await configured('serve', '--verbose');
    expect(await unknown.exit).to.equal(2);
    expect(unknown.stderr).to.include('--verbose');
  });

  it('shows its usage when asked and exits 0', async () => {
    const run = new Run(['--help']);
    expect(await run.exit).to.equal(0);
    expect(run.stdout).to.include('Usage: isthmus fixture --config FILE');
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`stops gracefully on ${signal} and exits 0`, async () => {
      const run = await configured('serve');
      await run.logged('serving');
      run.child.kill(signal);
      expect(await run.exit).to.equal(0);
      expect(run.logs.map(line => line['msg']).slice(-3)).to.deep.equal([
        'stopping',
        'drained',
        'stopped',
      ]);
    });
  }

  it('opens no inspector on SIGUSR1, as Node would, and goes on', async () => {
    const run = await configured('serve');
    await run.logged('serving');
    run.child.kill('SIGUSR1');
    await run.logged('SIGUSR1 ignored');
    run.child.kill('SIGTERM');
    expect(await run.exit).to.equal(0);
    expect(run.stderr).to.not.include('Debugger listening');
  });

  it('ends at once on a second signal', async () => {
    const run = await configured('hang');
    await run.logged('serving');
    run.child.kill('SIGTERM');
    await run.logged('stopping');
    run.child.kill('SIGTERM');
    expect(await run.exit).to.equal(1);
  });

  it('stops on a signal while it still waits to be built', async () => {
    const run = await configured('build-waits');
    await run.logged('waiting');
    run.child.kill('SIGTERM');
    expect(await run.exit).to.equal(0);
  });

  it('uses the state directory of the command line rather than that of the configuration', async () => {
    const configuredOnly = await configured('serve');
    await configuredOnly.logged('serving');
    expect(configuredOnly.logs.at(-1)).to.include({ stateDir: 'state' });
    const overridden = await configured('serve', '--state-dir', 'elsewhere');
    await overridden.logged('serving');
    expect(overridden.logs.at(-1)).to.include({ stateDir: 'elsewhere' });
  });

  for (const [mode, code] of [
    ['build-fails', 'ADDRESS_IN_USE'],
    ['task-fails', 'STORE_UNAVAILABLE'],
  ] as const) {
    it(`exits 1 with the error's code in its log when ${mode.replace('-', ' ')}`, async () => {
      const run = await configured(mode);
      expect(await run.exit).to.equal(1);
      expect(run.logs.at(-1)).to.include({ level: 'fatal', msg: 'cannot go on' });
      expect(run.logs.at(-1)?.['error']).to.include({ code });
    });
  }

  it('exits 1 with a stack in its log after a programmer error', async () => {
    const run = await configured('task-crashes');
    expect(await run.exit).to.equal(1);
    expect(run.logs.at(-1)).to.include({ level: 'fatal', msg: 'unexpected failure' });
    expect(run.logs.at(-1)?.['error']).to.have.property('stack').that.includes('TypeError: bug');
  });
});

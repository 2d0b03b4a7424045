/** `bin/isthmus.js`, copied beside programs that only say which of them was started. */

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';

describe('bin/isthmus.js', () => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'isthmus-bin-'));
    write('package.json', '{ "type": "module" }');
    write('bin/isthmus.js', '');
    copyFileSync('bin/isthmus.js', join(dir, 'bin/isthmus.js'));
  });

  afterEach(() => rmSync(dir, { recursive: true }));

  it('starts the bundle of a program that has one', () => {
    compiledAt(1_000);
    bundledAt(1_001);
    expect(start('sidecar', 'a', 'b')).to.equal('bundle/sidecar a b');
  });

  it('starts what was compiled after the bundle was made', () => {
    compiledAt(1_001);
    bundledAt(1_000);
    expect(start('sidecar')).to.equal('src/sidecar');
  });

  it('starts what was compiled where nothing was bundled', () => {
    compiledAt(1_000);
    expect(start('sidecar')).to.equal('src/sidecar');
    bundledAt(1_001);
    expect(start('agent')).to.equal('src/cluster-agent');
  });

  function compiledAt(seconds: number): void {
    program('src/sidecar');
    program('src/cluster-agent');
    write('dist/.tsbuildinfo', '');
    utimesSync(join(dir, 'dist/.tsbuildinfo'), seconds, seconds);
  }

  function bundledAt(seconds: number): void {
    program('bundle/sidecar');
    utimesSync(join(dir, 'dist/bundle/sidecar/main.js'), seconds, seconds);
  }

  function program(name: string): void {
    write(
      `dist/${name}/main.js`,
      `export const main = args => console.log(['${name}', ...args].join(' '));`,
    );
  }

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }

  function start(...args: readonly string[]): string {
    const bin = join(dir, 'bin/isthmus.js');
    return spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8' }).stdout.trim();
  }
});

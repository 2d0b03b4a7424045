#!/usr/bin/env node
/**
 * Everything that must hold before a change is accepted: format, lint, then every compiled test.
 *
 * Output is streamed; the last line is always `N passed, N failed`, where the format check and the
 * lint count as one each. The exit code is 1 when anything failed, and also when mocha crashed, hung
 * after its last test or found no test: a run that proves nothing must not look like success. And one in
 * which every test waits for its timeout is stopped, and not after an hour.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How long mocha may live on after its last test, before it counts as hung. */
const EXIT_GRACE_MS = 15_000;
/** Of one run of mocha, which takes some ten minutes when nothing is wrong. */
const RUN_MS_MAX = 30 * 60_000;
/** How long the test that runs then may take to end, and its hooks to clean up. */
const ABORT_GRACE_MS = 60_000;

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const total = { passed: 0, failed: 0, skipped: 0 };

await check('format', ['@biomejs/biome', 'biome', 'check', '.']);
await check('lint', ['eslint', 'eslint', '.']);
await mocha('tests', ['dist/test/**/*.test.js']);
// The data path has two ways to a socket (docs/decisions/0010); the first run took the other.
await mocha(
  'tests of the data path on public sockets',
  [
    'dist/test/{sidecar,east-west-gateway}/**/*.test.js',
    'dist/test/mesh-in-a-process/mesh.test.js',
    'dist/test/runtime/socket*.test.js',
  ],
  { ISTHMUS_SOCKETS: 'public' },
);

if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exit(total.failed === 0 ? 0 : 1);

/** One tool that passes or fails as a whole. */
async function check(name, [packageName, command, ...args]) {
  heading(name);
  const child = start(packageName, command, args);
  if ((await ended(child)) === 0) total.passed += 1;
  else failed(`${name} check failed`);
}

async function mocha(title, files, env = {}) {
  heading(title);
  const args = ['--reporter', 'scripts/counting-reporter.mjs', ...files];
  const child = start('mocha', 'mocha', args, { env, channels: ['ipc'] });
  const counted = { passed: 0, failed: 0, skipped: 0 };
  let finished = false;
  let hung = false;
  let overdue = false;
  const limit = setTimeout(() => {
    overdue = true;
    if (child.connected) child.send('abort');
    setTimeout(() => child.kill('SIGKILL'), ABORT_GRACE_MS).unref();
  }, RUN_MS_MAX);
  child.on('message', event => {
    if (event in counted) counted[event] += 1;
    if (event !== 'end') return;
    finished = true;
    setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, EXIT_GRACE_MS).unref();
  });
  const code = await ended(child);
  clearTimeout(limit);
  for (const key of Object.keys(total)) total[key] += counted[key];
  if (overdue) failed(`mocha was stopped: it ran for more than ${RUN_MS_MAX / 60_000} minutes`);
  else if (hung) failed('mocha did not exit after its last test: a test left something running');
  else if (!finished) failed(`mocha ended with ${code} before the last test`);
  else if (counted.passed + counted.failed === 0) failed('no test was run');
  else if (code !== 0 && counted.failed === 0) failed(`mocha ended with ${code}`);
}

/** Runs a package's command with this Node, its output going straight to ours. */
function start(packageName, command, args, { env = {}, channels = [] } = {}) {
  const dir = join('node_modules', packageName);
  const { bin } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  const script = join(dir, typeof bin === 'string' ? bin : bin[command]);
  return spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', ...channels],
    env: { ...process.env, ...env },
  });
}

function ended(child) {
  return new Promise(resolve => {
    child.on('error', error => resolve(error.code));
    child.on('exit', (code, signal) => resolve(code ?? signal));
  });
}

function heading(name) {
  process.stdout.write(`\n== ${name}\n`);
}

function failed(why) {
  total.failed += 1;
  process.stdout.write(`FAILED: ${why}\n`);
}

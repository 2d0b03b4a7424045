#!/usr/bin/env node
/**
 * Makes a fresh clone ready to run: dependencies, generated code, compiled code.
 *
 * Runs before `npm run demo` and `npm test`, so it says one line for each thing it does, with the time
 * it took, and is silent when nothing is stale. Needs nothing that is not in Node.
 *
 *   node scripts/setup.mjs [--force] [--etcd]
 *
 * --force builds even when nothing changed; --etcd makes sure that an etcd server is on the PATH, which
 * the tests need. Exit codes: 0 ready, 1 a step failed, 2 this Node is too old.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GENERATED = 'src/wire/generated';
const STAMP = 'dist/.setup-stamp';
const OLDEST_NODE = [20, 19];
/** What a build reads: these folders, and the files below. */
const SOURCE_DIRS = ['src', 'test', 'bench', 'soak'];
const BUILD_FILES = [
  ...['package-lock.json', 'tsconfig.json', 'buf.yaml', 'buf.gen.yaml'],
  'scripts/bundle.mjs',
];
const BUNDLES = ['sidecar', 'east-west-gateway'].map(name => `dist/bundle/${name}/main.js`);

process.chdir(ROOT);
requireNode();
const flags = new Set(process.argv.slice(2));
for (const flag of flags) {
  if (flag !== '--force' && flag !== '--etcd')
    fail(`unknown option "${flag}"; use --force, --etcd`);
}

if (!dependenciesCurrent()) {
  // The log level is for those who run us silently: a failure must still say why.
  await step('installing dependencies', ['npm', 'ci', '--include=dev', '--loglevel=error']);
}
if (flags.has('--force') || !buildCurrent()) await build();
if (flags.has('--etcd') && !onPath('etcd')) await installEtcd();

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  process.stderr.write(
    `setup: Node ${process.versions.node} is too old; install Node ${OLDEST_NODE.join('.')} or newer (22 or 24 for production)\n`,
  );
  process.exit(2);
}

/**
 * Whether node_modules holds what package-lock.json asks for. npm keeps a lock file of what it really
 * installed; comparing the two survives checkouts and copies, which modification times do not.
 */
function dependenciesCurrent() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages('node_modules/.package-lock.json');
  if (installed === undefined) return false;
  return Object.entries(wanted ?? {}).every(([path, { version, integrity, optional }]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return optional === true; // Made for another platform.
    return found.version === version && found.integrity === integrity && existsSync(path);
  });
}

function readPackages(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function buildCurrent() {
  if (!existsSync(STAMP) || !existsSync(GENERATED)) return false;
  if (readFileSync(STAMP, 'utf8') !== fingerprint() || missing().length > 0) return false;
  return BUNDLES.every(file => existsSync(file) && isNewer(file, 'dist/.tsbuildinfo'));
}

function isNewer(file, other) {
  return statSync(file).mtimeMs > statSync(other).mtimeMs;
}

async function build() {
  const before = fingerprint(); // A file saved during the build makes the next run build again.
  rmSync(STAMP, { force: true });
  rmSync(GENERATED, { recursive: true, force: true });
  await step('generating code from protos', [
    process.execPath,
    bin('@bufbuild/buf', 'buf'),
    'generate',
  ]);
  removeOrphans();
  // The compiler's own cache knows nothing of outputs that someone removed.
  if (missing().length > 0) rmSync('dist/.tsbuildinfo', { force: true });
  await step('compiling', [process.execPath, bin('typescript', 'tsc'), '-p', 'tsconfig.json']);
  await step('bundling the data plane', [process.execPath, 'scripts/bundle.mjs']);
  mkdirSync('dist', { recursive: true });
  writeFileSync(STAMP, before);
}

/** Names, sizes and times of all inputs: changes when one is edited, added, removed or renamed. */
function fingerprint() {
  const hash = createHash('sha256');
  for (const file of [...BUILD_FILES, ...SOURCE_DIRS.flatMap(filesUnder)]) {
    if (file.startsWith(`${GENERATED}/`)) continue;
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Sources without a compiled twin. */
function missing() {
  return SOURCE_DIRS.flatMap(filesUnder).filter(
    file => file.endsWith('.ts') && !existsSync(join('dist', file.replace(/\.ts$/, '.js'))),
  );
}

/** Compiled files whose source is gone must not be run as tests or imported by accident. */
function removeOrphans() {
  for (const file of SOURCE_DIRS.flatMap(dir => filesUnder(`dist/${dir}`))) {
    const source = relative('dist', file).replace(/\.js(\.map)?$/, '.ts');
    if (!existsSync(source)) rmSync(file);
  }
}

function filesUnder(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap(entry => {
    const path = `${dir}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** The script behind a package's command, found without a shell or node_modules/.bin. */
function bin(name, command) {
  const dir = join('node_modules', name);
  const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  return join(dir, typeof manifest.bin === 'string' ? manifest.bin : manifest.bin[command]);
}

async function installEtcd() {
  const how =
    'install an etcd server (Debian, Ubuntu: apt-get install etcd-server; macOS: brew install etcd)';
  if (process.getuid?.() !== 0 || !onPath('apt-get')) fail(`etcd is not on the PATH; ${how}`);
  await step('fetching package lists', ['apt-get', 'update']);
  await step('installing etcd', ['apt-get', 'install', '-y', 'etcd-server']);
  if (!onPath('etcd')) fail(`etcd is still not on the PATH; ${how}`);
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some(dir => {
    try {
      accessSync(join(dir, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs one command quietly; its output is shown only when it fails. */
async function step(what, [command, ...args]) {
  const startedMs = Date.now();
  process.stdout.write(`${what} … `);
  const { code, output } = await run(command, args);
  const seconds = `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
  process.stdout.write(code === 0 ? `${seconds}\n` : `failed after ${seconds}\n`);
  if (code !== 0)
    fail(`"${[command, ...args].join(' ')}" ended with ${code}:\n${output.trimEnd()}`);
}

function run(command, args) {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', text => {
        output += text;
      });
    }
    child.on('error', error => resolve({ code: error.code, output: error.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

function fail(message) {
  process.stderr.write(`setup: ${message}\n`);
  process.exit(1);
}

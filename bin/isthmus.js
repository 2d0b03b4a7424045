#!/usr/bin/env node
// Sends a command to its program. Components are separate programs, so that a sidecar process loads
// nothing that only the command line needs. What runs beside every workload is bundled into one file;
// one that is older than what was compiled since is not used.

import { existsSync, statSync } from 'node:fs';

const COMPONENTS = {
  registry: 'global-registry',
  agent: 'cluster-agent',
  gateway: 'east-west-gateway',
  sidecar: 'sidecar',
};

const dist = new URL('../dist/', import.meta.url);
if (!existsSync(new URL('src/', dist))) {
  process.stderr.write('isthmus is not built yet; run: npm run setup\n');
  process.exit(2);
}

const [command = '', ...rest] = process.argv.slice(2);
const folder = Object.hasOwn(COMPONENTS, command) ? COMPONENTS[command] : undefined;
if (folder === undefined) {
  const { main } = await import(new URL('src/cli/main.js', dist));
  await main(process.argv.slice(2));
} else {
  const bundle = `bundle/${folder}/main.js`;
  const program = madeMs(bundle) > madeMs('.tsbuildinfo') ? bundle : `src/${folder}/main.js`;
  const { main } = await import(new URL(program, dist));
  await main(rest);
}

function madeMs(file) {
  return statSync(new URL(file, dist), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

#!/usr/bin/env node
// Sends a command to its program. Components are separate programs, so that a sidecar process loads
// nothing that only the command line needs.

import { existsSync } from 'node:fs';

const COMPONENTS = {
  registry: 'global-registry',
  agent: 'cluster-agent',
  gateway: 'east-west-gateway',
  sidecar: 'sidecar',
};

const dist = new URL('../dist/src/', import.meta.url);
if (!existsSync(dist)) {
  process.stderr.write('isthmus is not built yet; run: npm run setup\n');
  process.exit(2);
}

const [command = '', ...rest] = process.argv.slice(2);
const folder = Object.hasOwn(COMPONENTS, command) ? COMPONENTS[command] : undefined;
if (folder === undefined) {
  const { main } = await import(new URL('cli/main.js', dist));
  await main(process.argv.slice(2));
} else {
  const { main } = await import(new URL(`${folder}/main.js`, dist));
  await main(rest);
}

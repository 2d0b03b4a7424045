/** `npm run bench -- PATH`: arguments, signals, exit code. Exit 0 measured, 1 something failed, 2 usage. */

import { parseArgs } from 'node:util';
import { messageOf } from '../src/mesh/errors.ts';
import { gateway } from './paths/gateway.ts';
import { handshake } from './paths/handshake.ts';
import { chain, hop } from './paths/http.ts';
import { memory } from './paths/memory.ts';
import type { BenchPath } from './paths/path.ts';
import { runPath } from './run.ts';
import type { Pace } from './scenario.ts';

const PATHS: Readonly<Record<string, BenchPath>> = { chain, hop, gateway, handshake, memory };
const FULL: Pace = { rounds: 3, warmUpMs: 2_000, measureMs: 8_000 };
const QUICK: Pace = { rounds: 1, warmUpMs: 1_000, measureMs: 2_000 };

const USAGE = `Usage: npm run bench -- ${Object.keys(PATHS).join('|')} [options]

Options:
  --quick            one short round: shows that everything works, not how fast
  --json             the last line of output is one JSON object
  --systems LIST     only these, such as isthmus,nginx
`;

async function main(): Promise<number> {
  let options: ReturnType<typeof parse>;
  try {
    options = parse();
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n\n${USAGE}`);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  try {
    return (await runPath(options, stop.signal)) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${stop.signal.aborted ? 'interrupted' : messageOf(error)}\n`);
    return 1;
  }
}

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      systems: { type: 'string' },
    },
  });
  const [name = '', ...others] = positionals;
  const path = Object.hasOwn(PATHS, name) ? PATHS[name] : undefined;
  if (path === undefined || others.length > 0) {
    throw new Error(
      `name one of ${Object.keys(PATHS).join(', ')}, found "${positionals.join(' ')}"`,
    );
  }
  const only = values.systems?.split(',');
  const unknown = only?.find(system => !path.systems.some(known => known === system));
  if (unknown !== undefined) {
    throw new Error(`${name} compares ${path.systems.join(', ')}, not "${unknown}"`);
  }
  return { name, path, only, pace: values.quick ? QUICK : FULL, json: values.json };
}

// Not by emptying the loop: a process that was starting when Ctrl-C came must not keep us.
process.exit(await main());

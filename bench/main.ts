/** `npm run bench -- PATH`: arguments, signals, exit code. Exit 0 measured, 1 something failed, 2 usage. */

import { parseArgs } from 'node:util';
import { messageOf } from '../src/mesh/errors.ts';
import { benchFailover } from './failover/main.ts';
import { ca } from './paths/ca.ts';
import { chain, hop } from './paths/chain.ts';
import { gateway } from './paths/gateway.ts';
import { handshake } from './paths/handshake.ts';
import { memory } from './paths/memory.ts';
import type { BenchPath } from './paths/path.ts';
import { benchRegistry } from './registry/bench.ts';
import { runPath } from './run.ts';
import type { Pace } from './scenario.ts';

/** Beside the data-plane paths, which compare systems: ours alone. */
const REGISTRY = 'registry';
const FAILOVER = 'failover';
const PATHS: Readonly<Record<string, BenchPath>> = { chain, hop, gateway, handshake, memory, ca };
const FULL: Pace = { rounds: 3, warmUpMs: 2_000, measureMs: 8_000 };
const QUICK: Pace = { rounds: 1, warmUpMs: 1_000, measureMs: 2_000 };

const NAMES = [...Object.keys(PATHS), REGISTRY, FAILOVER];
const USAGE = `Usage: npm run bench -- ${NAMES.join('|')} [options]

Options:
  --quick            one short round: shows that everything works, not how fast
  --json             the last line of output is one JSON object
  --systems LIST     only these, such as isthmus,nginx
  --only TEXT        failover: only faults with this in their name
`;

async function main(): Promise<number> {
  let run: ReturnType<typeof parse>;
  try {
    run = parse();
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n\n${USAGE}`);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  try {
    return (await run(stop.signal)) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${stop.signal.aborted ? 'interrupted' : messageOf(error)}\n`);
    return 1;
  }
}

function parse(): (signal: AbortSignal) => Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      systems: { type: 'string' },
      only: { type: 'string' },
    },
  });
  const [name = '', ...others] = positionals;
  const { quick, json } = values;
  const path = Object.hasOwn(PATHS, name) ? PATHS[name] : undefined;
  if (!NAMES.includes(name) || others.length > 0) {
    throw new Error(`name one of ${NAMES.join(', ')}, found "${positionals.join(' ')}"`);
  }
  if (name === FAILOVER) {
    return signal => benchFailover({ quick, json, only: values.only }, signal);
  }
  if (path === undefined) return signal => benchRegistry({ quick, json }, signal);
  const only = values.systems?.split(',');
  const { systems } = path;
  const unknown = only?.find(system => !systems.some(known => known === system));
  if (unknown !== undefined) {
    throw new Error(`${name} compares ${systems.join(', ')}, not "${unknown}"`);
  }
  const options = { name, path, only, pace: quick ? QUICK : FULL, json };
  return signal => runPath(options, signal);
}

// Not by emptying the loop: a process that was starting when Ctrl-C came must not keep us.
process.exit(await main());

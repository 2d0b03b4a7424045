/** `npm run soak -- NAME`: arguments, signals, exit code. Exit 0 held, 1 it did not or failed, 2 usage. */

import { parseArgs } from 'node:util';
import { messageOf } from '../src/mesh/errors.ts';
import { runInOwnNetwork } from './namespace.ts';
import { registrySoak } from './registry/soak.ts';
import { rotationSoak } from './rotation/soak.ts';
import type { Soak, SoakOptions } from './soak.ts';

const SOAKS: Readonly<Record<string, Soak>> = {
  registry: registrySoak,
  rotation: rotationSoak,
};

const USAGE = `Usage: npm run soak -- ${Object.keys(SOAKS).join('|')} [options]

Options:
  --quick            registry: every fault once, in at most ten minutes; rotation: in under five
  --json             the last line of output is one JSON object
`;

async function main(): Promise<number> {
  let soak: Soak;
  let options: SoakOptions;
  try {
    ({ soak, options } = parse());
  } catch (error) {
    process.stderr.write(`soak: ${messageOf(error)}\n\n${USAGE}`);
    return 2;
  }
  const elsewhere = await runInOwnNetwork();
  if (elsewhere !== undefined) return elsewhere;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  try {
    return (await soak(options, stop.signal)) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`soak: ${stop.signal.aborted ? 'interrupted' : messageOf(error)}\n`);
    return 1;
  }
}

function parse(): { readonly soak: Soak; readonly options: SoakOptions } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const [name = '', ...others] = positionals;
  const soak = Object.hasOwn(SOAKS, name) ? SOAKS[name] : undefined;
  if (soak === undefined || others.length > 0) {
    throw new Error(
      `name one of ${Object.keys(SOAKS).join(', ')}, found "${positionals.join(' ')}"`,
    );
  }
  return { soak, options: values };
}

// Not by emptying the loop: a process that was starting when Ctrl-C came must not keep us.
process.exit(await main());

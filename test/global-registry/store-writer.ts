/** Writes to an embedded store as fast as it can and prints each key once it is acknowledged. */

import { writeSync } from 'node:fs';
import { openEmbeddedStore } from '../../src/global-registry/store/embedded-store.ts';
import { createLogger } from '../../src/runtime/log.ts';

const [, , dir = '', round = ''] = process.argv;
const store = await openEmbeddedStore({ dir, log: createLogger('writer'), journalBytesMax: 8_192 });

async function write(lane: number): Promise<void> {
  for (let i = 0; ; i++) {
    const key = `/${round}/${lane}/${i}`;
    await store.commit({ puts: [{ key, value: Buffer.alloc(50, 'x') }], deletes: [] });
    writeSync(1, `${key}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(write));

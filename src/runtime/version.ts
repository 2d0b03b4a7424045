/** This software's version, from the one place that states it. */

import { readFileSync } from 'node:fs';

const manifest = new URL('../../../package.json', import.meta.url);

export const VERSION = String(
  (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: unknown }).version,
);

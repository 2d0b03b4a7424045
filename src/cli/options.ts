/** Options and exit codes that commands share. */

import { fileURLToPath } from 'node:url';
import { Option } from 'commander';

/** 0 as asked, 1 it ran and found something wrong, 2 it could not be understood. */
export const FOUND_WRONG = 1;
export const USAGE = 2;

export const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The demo's. */
export const DEFAULT_CONFIG_DIR = `${PACKAGE_ROOT}clusters`;

export function configDirOption(): Option {
  return new Option(
    '--config-dir <dir>',
    'folder with registry.yaml and a folder per cluster',
  ).default(DEFAULT_CONFIG_DIR, 'clusters');
}

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'output format')
    .choices(['text', 'json'])
    .default('text');
}

/** Options and exit codes that commands share. */

import { fileURLToPath } from 'node:url';
import { Option } from 'commander';

/** 0 as asked, 1 it ran and found something wrong, 2 it could not be understood. */
export const FOUND_WRONG = 1;
export const USAGE = 2;

export const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export function configDirOption(): Option {
  return new Option(
    '--config-dir <dir>',
    'folder with registry.yaml and a folder per cluster',
  ).default(`${PACKAGE_ROOT}clusters`, 'clusters');
}

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'output format')
    .choices(['text', 'json'])
    .default('text');
}

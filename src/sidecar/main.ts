/** `isthmus sidecar`: the sidecar as a process. */

import { runProcess } from '../runtime/process.ts';
import { sidecarConfig } from './config.ts';
import { buildSidecar } from './sidecar.ts';

export function main(argv: readonly string[]): Promise<never> {
  return runProcess({ component: 'sidecar', schema: sidecarConfig, build: buildSidecar }, argv);
}

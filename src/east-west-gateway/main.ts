/** `isthmus gateway`: the east-west gateway as a process. */

import { runProcess } from '../runtime/process.ts';
import { gatewayConfig } from './config.ts';
import { buildGateway } from './east-west-gateway.ts';

export function main(argv: readonly string[]): Promise<never> {
  return runProcess({ component: 'gateway', schema: gatewayConfig, build: buildGateway }, argv);
}

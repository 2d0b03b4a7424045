/** The process of the application beside a sidecar (workload.ts). */

import { fileURLToPath } from 'node:url';
import type { SidecarMember } from '../fleet.ts';
import { accepting, type ProcessSpec } from './processes.ts';

const WORKLOAD = fileURLToPath(new URL('./workload.js', import.meta.url));

/** The name under which it runs. */
export function applicationName(sidecar: SidecarMember): string {
  return `${sidecar.name}/app`;
}

export function applicationProcess(sidecar: SidecarMember): ProcessSpec {
  const [address] = sidecar.applications;
  if (address === undefined) throw new Error(`${sidecar.name} names no application`);
  return {
    name: applicationName(sidecar),
    command: process.execPath,
    args: [WORKLOAD, sidecar.workload, address.host, String(address.port)],
    waitingFor: accepting(address),
  };
}

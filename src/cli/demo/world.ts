/** What every step of the story works on: the running fleet, and who is who in it. */

import type { AgentMember, ClusterFleet, Fleet, GatewayMember, SidecarMember } from '../fleet.ts';
import { findSidecar } from '../fleet.ts';
import type { ProcessSet } from './processes.ts';

export interface World {
  /** Only the clusters that run. */
  readonly fleet: Fleet;
  readonly processes: ProcessSet;
  /** State directory of a process, by member name. */
  readonly stateDir: (name: string) => string;
}

export function clusterNamed(world: World, name: string): ClusterFleet {
  const found = world.fleet.clusters.find(cluster => cluster.name === name);
  if (found === undefined) throw new Error(`the demo has no cluster "${name}"`);
  return found;
}

export function agentOf(world: World, cluster: string): AgentMember {
  return clusterNamed(world, cluster).agent;
}

export function gatewayOf(world: World, cluster: string): GatewayMember {
  return clusterNamed(world, cluster).gateway;
}

export function sidecarOf(world: World, name: string): SidecarMember {
  return findSidecar(world.fleet, name);
}

/** `http://<service>.shop.svc.clusterset.local/`. */
export function clustersetUrl(service: string): string {
  return `http://${service}.shop.svc.clusterset.local/`;
}

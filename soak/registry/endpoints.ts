/**
 * What the calling sidecar holds of the idle service, compared with what runs: a live endpoint that it
 * lost, a dead one that it kept.
 */

import { askAdminBody } from '../../src/cli/admin-client.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { FLEET_HOST } from './configuration.ts';

const LOOK_EVERY_MS = 250;

/** Names of workloads, numbered on from `first`. */
export function fleetOf(count: number, first = 0): readonly string[] {
  return Array.from({ length: count }, (_, i) => `fleet-${first + i}`);
}

export class FleetWatch {
  readonly name = 'fleet-watch';
  /** Seen missing at least once while they were alive and known. */
  readonly withdrawn = new Set<string>();
  readonly #admin: SocketAddress;
  readonly #arrived = new Set<string>();
  #alive: readonly string[];
  #born: number;

  constructor(admin: SocketAddress, alive: readonly string[]) {
    this.#admin = admin;
    this.#alive = alive;
    this.#born = alive.length;
  }

  get alive(): readonly string[] {
    return this.#alive;
  }

  /** Some die and as many are born; returns everyone now alive. */
  turnOver(count: number): readonly string[] {
    const newcomers = fleetOf(count, this.#born);
    this.#born += count;
    this.#alive = [...this.#alive.slice(count), ...newcomers];
    return this.#alive;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look();
      await sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** Undefined when the sidecar holds exactly those alive; else what is wrong. */
  async difference(): Promise<string | undefined> {
    const held = await this.#held();
    if (held === undefined) return 'the sidecar does not answer';
    const missing = this.#alive.filter(name => !held.has(name)).length;
    const dead = this.deadIn(held).length;
    return missing + dead === 0
      ? undefined
      : `${missing} endpoints missing, ${dead} dead ones held`;
  }

  async dead(): Promise<readonly string[]> {
    return this.deadIn((await this.#held()) ?? new Set());
  }

  deadIn(held: ReadonlySet<string>): readonly string[] {
    const alive = new Set(this.#alive);
    return [...held].filter(name => !alive.has(name));
  }

  async #look(): Promise<void> {
    const aliveBefore = this.#alive;
    const held = await this.#held();
    if (held === undefined) return;
    for (const name of aliveBefore) {
      if (held.has(name)) this.#arrived.add(name);
      // One that has just died is rightly gone.
      else if (this.#arrived.has(name) && this.#alive.includes(name)) this.withdrawn.add(name);
    }
  }

  async #held(): Promise<Set<string> | undefined> {
    const upstreams = await askAdminBody<
      readonly { readonly host: string; readonly endpoints: readonly { workload: string }[] }[]
    >(this.#admin, '/debug/upstreams');
    if (upstreams === undefined) return undefined;
    const fleet = upstreams.filter(({ host }) => host === FLEET_HOST);
    return new Set(fleet.flatMap(each => each.endpoints.map(({ workload }) => workload)));
  }
}

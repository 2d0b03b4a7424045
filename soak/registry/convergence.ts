/**
 * Whether everybody holds what was written last: every importer, both agents and the calling sidecar.
 */

import { askAdminBody } from '../../src/cli/admin-client.ts';
import type { Freshness } from '../../src/mesh/cluster.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import type { Bed } from './bed.ts';
import type { Churn } from './churn.ts';
import type { FleetWatch } from './endpoints.ts';
import type { Importer } from './importers.ts';

const POLL_MS = 100;

export class Convergence {
  readonly #bed: Bed;
  readonly #fleet: FleetWatch;
  readonly #writers: readonly Churn[];
  readonly #importers: readonly Importer[];

  constructor(
    bed: Bed,
    fleet: FleetWatch,
    writers: readonly Churn[],
    importers: readonly Importer[],
  ) {
    this.#bed = bed;
    this.#fleet = fleet;
    this.#writers = writers;
    this.#importers = importers;
  }

  /** Undefined once it is; else, after so long, what is missing. */
  async reached(withinMs: number, signal: AbortSignal): Promise<string | undefined> {
    const deadline = performance.now() + withinMs;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    let missing: string | undefined = 'no write was acknowledged';
    try {
      const revisions = await Promise.all(this.#writers.map(writer => writer.barrier(limit)));
      const revision = revisions.reduce((a, b) => (a > b ? a : b), 0n);
      do {
        missing = await this.#missing(revision);
        if (missing === undefined) return undefined;
        await sleep(POLL_MS, limit);
      } while (performance.now() < deadline && !signal.aborted);
    } catch (error) {
      if (!limit.aborted) throw error;
    }
    return missing;
  }

  async #missing(revision: bigint): Promise<string | undefined> {
    const behind = this.#importers.find(each => !each.connected || each.revision < revision);
    if (behind !== undefined) {
      const how = behind.connected ? `at ${behind.revision} of ${revision}` : 'disconnected';
      return `importer "${behind.name}" is ${how}`;
    }
    for (const { agent } of this.#bed.fleet.clusters) {
      const known = await askAdminBody<
        readonly { readonly name: string; readonly freshness?: Freshness }[]
      >(agent.admin, '/debug/clusters');
      if (known === undefined) return `${agent.name} does not answer`;
      const live = known.filter(({ freshness }) => freshness?.kind === 'live').length;
      if (live !== this.#bed.fleet.clusters.length) {
        return `${agent.name} sees ${live} live clusters: ${JSON.stringify(known.map(({ name, freshness }) => ({ name, freshness })))}`;
      }
    }
    return this.#fleet.difference();
  }
}

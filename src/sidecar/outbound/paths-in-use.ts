/**
 * The gateways that lead to what this sidecar has called lately, from the sessions it holds: these are
 * worth probing, and what comes back on the sessions is evidence as good as a probe's.
 */

import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { Table } from '../../mesh/collection.ts';
import { aborted } from '../../runtime/supervise.ts';
import { type Path, type PathKey, pathKey } from '../../trust-federation/probes/path-prober.ts';
import { PATH_USED_MS, PATHS_LOOK_MS } from '../limits.ts';
import type { SessionPool } from '../tunnel/pool.ts';

export class PathsInUse {
  readonly name = 'paths-in-use';
  readonly paths = new Table<PathKey, Path>('paths-in-use');
  readonly #pool: Pick<SessionPool, 'inUse'>;
  readonly #now: () => number;
  readonly #usedMs = new Map<PathKey, number>();
  /** By address: when something came back on a session through it. */
  #heardMs: ReadonlyMap<string, number> = new Map();

  constructor(pool: Pick<SessionPool, 'inUse'>, now: () => number) {
    this.#pool = pool;
    this.#now = now;
  }

  heardMs({ address }: { readonly address: SocketAddress }): number | undefined {
    return this.#heardMs.get(formatAddress(address));
  }

  async run(signal: AbortSignal): Promise<void> {
    const look = setInterval(() => this.look(), PATHS_LOOK_MS);
    await aborted(signal);
    clearInterval(look);
  }

  look(): void {
    const nowMs = this.#now();
    const paths = new Map(this.paths.entries());
    const heardMs = new Map<string, number>();
    for (const { target, heardMs: heard } of this.#pool.inUse()) {
      const { cluster, trustDomain, path, addresses } = target.endpoint;
      if (path !== 'gateway') continue;
      const through = formatAddress(target.address);
      if (heard !== undefined) heardMs.set(through, Math.max(heard, heardMs.get(through) ?? 0));
      // All of them: the next call may have to take another.
      for (const address of addresses) {
        const way = { cluster, trustDomain, address };
        paths.set(pathKey(way), way);
        this.#usedMs.set(pathKey(way), nowMs);
      }
    }
    for (const [key, usedMs] of this.#usedMs) {
      if (nowMs - usedMs <= PATH_USED_MS) continue;
      this.#usedMs.delete(key);
      paths.delete(key);
    }
    this.#heardMs = heardMs;
    this.paths.replaceAll(paths);
  }
}

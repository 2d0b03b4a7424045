/** A store in memory whose outages, gaps and replacement a test controls. */

import type {
  Index,
  RegistryStore,
  Revision,
  Snapshot,
  StoreEntry,
  StoreEvent,
  StorePosition,
} from '../../src/global-registry/store/store.ts';
import { MeshError } from '../../src/mesh/errors.ts';

export class FakeStore implements RegistryStore {
  readonly kind = 'embedded';
  storeId = 'first';
  term = 1n;
  revision = 1n;
  /** Read so far. */
  snapshots = 0;
  /** Questions for its index so far, and how many of the next ones it does not answer. */
  indexes = 0;
  deafTo = 0;
  readonly entries = new Map<string, StoreEntry>();
  #down = false;
  readonly #pending: Revision[] = [];
  #wake: () => void = () => undefined;

  /** Changes the table; a watch hears of it unless `unheard`. */
  change(events: readonly StoreEvent[], options: { unheard?: boolean } = {}): void {
    this.revision += 1n;
    const revision = this.revision;
    const stamped = events.map(
      (event): StoreEvent =>
        event.kind === 'put' ? { kind: 'put', entry: this.#stamped(event.entry, revision) } : event,
    );
    for (const event of stamped) {
      if (event.kind === 'put') this.entries.set(event.entry.key, event.entry);
      else this.entries.delete(event.key);
    }
    if (options.unheard !== true) this.#pending.push({ revision, events: stamped });
    this.#wake();
  }

  /** Shows the watch a revision that the table knows nothing of. */
  show(revision: Revision): void {
    this.#pending.push(revision);
    this.#wake();
  }

  #stamped(entry: StoreEntry, revision: bigint): StoreEntry {
    return { ...entry, revision, created: this.entries.get(entry.key)?.created ?? revision };
  }

  set down(value: boolean) {
    this.#down = value;
    this.#wake();
  }

  async snapshot(): Promise<Snapshot> {
    this.#requireUp();
    this.#pending.length = 0;
    this.snapshots += 1;
    return { ...this.#position(), entries: [...this.entries.values()] };
  }

  async index(): Promise<Index> {
    this.#requireUp();
    this.indexes += 1;
    if (this.deafTo > 0) {
      this.deafTo -= 1;
      throw new MeshError('STORE_UNAVAILABLE', 'deadline exceeded');
    }
    const revisions = new Map([...this.entries].map(([key, entry]) => [key, entry.revision]));
    return { ...this.#position(), revisions };
  }

  #position(): StorePosition {
    return { storeId: this.storeId, term: this.term, revision: this.revision };
  }

  async *watch(_: string, __: bigint, signal: AbortSignal): AsyncGenerator<Revision, void> {
    while (!signal.aborted) {
      this.#requireUp();
      const next = this.#pending.shift();
      if (next !== undefined) yield next;
      else {
        const { promise, done } = waiting(signal);
        this.#wake = done;
        await promise;
      }
    }
  }

  #requireUp(): void {
    if (this.#down) throw new MeshError('STORE_UNAVAILABLE', 'the store is down');
  }

  grantLease(): never {
    throw new Error('not part of this fake');
  }
  keepAlive(): never {
    throw new Error('not part of this fake');
  }
  commit(): never {
    throw new Error('not part of this fake');
  }
  async close(): Promise<void> {
    this.down = true;
  }
}

function waiting(signal: AbortSignal): { promise: Promise<void>; done: () => void } {
  let done = (): void => undefined;
  const promise = new Promise<void>(resolve => {
    done = () => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done);
  });
  return { promise, done };
}

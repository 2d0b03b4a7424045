/**
 * Keyed state flowing one way: source → Collection → pure function → Collection → sink.
 *
 * A Table is written by one source; a derived collection is a pure function of its inputs, computed
 * anew when one of them changes and compared by key, so observers hear only of real changes. Change
 * batches are delivered synchronously and in order; an observer must not write to the collection it
 * observes. Silence of a source changes nothing here: only `replaceAll` and `delete` remove.
 */

export type Change<K, V> =
  | { readonly kind: 'put'; readonly key: K; readonly value: V }
  | { readonly kind: 'delete'; readonly key: K };

export interface Collection<K, V> {
  readonly name: string;
  get(key: K): V | undefined;
  entries(): ReadonlyMap<K, V>;
  /** Called after every batch that changed something; returns the way to stop. */
  observe(observer: (changes: readonly Change<K, V>[]) => void): () => void;
}

export class Table<K, V> implements Collection<K, V> {
  readonly name: string;
  readonly #rows = new Map<K, V>();
  readonly #observers = new Set<(changes: readonly Change<K, V>[]) => void>();

  constructor(name: string) {
    this.name = name;
  }

  get(key: K): V | undefined {
    return this.#rows.get(key);
  }

  entries(): ReadonlyMap<K, V> {
    return this.#rows;
  }

  observe(observer: (changes: readonly Change<K, V>[]) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Applies a batch; rows that stay equal are not announced. */
  apply(changes: Iterable<Change<K, V>>): void {
    const effective: Change<K, V>[] = [];
    for (const change of changes) {
      if (change.kind === 'delete') {
        if (this.#rows.delete(change.key)) effective.push(change);
      } else if (
        !this.#rows.has(change.key) ||
        !sameValue(this.#rows.get(change.key), change.value)
      ) {
        this.#rows.set(change.key, change.value);
        effective.push(change);
      }
    }
    if (effective.length === 0) return;
    for (const observer of [...this.#observers]) observer(effective);
  }

  put(key: K, value: V): void {
    this.apply([{ kind: 'put', key, value }]);
  }

  delete(key: K): void {
    this.apply([{ kind: 'delete', key }]);
  }

  /** Makes the table hold exactly these rows, announced as one batch. */
  replaceAll(rows: Iterable<readonly [K, V]>): void {
    const next = new Map(rows);
    const changes: Change<K, V>[] = [];
    for (const key of this.#rows.keys()) if (!next.has(key)) changes.push({ kind: 'delete', key });
    for (const [key, value] of next) {
      if (value === undefined || this.#rows.get(key) !== value) {
        changes.push({ kind: 'put', key, value });
      }
    }
    this.apply(changes);
  }
}

/** A collection that is a pure function of others. `stop` unhooks it from its inputs. */
export interface Derived<K, V> extends Collection<K, V> {
  stop(): void;
}

export function derive<K, V>(
  name: string,
  inputs: readonly ObservableInput[],
  compute: () => Iterable<readonly [K, V]>,
): Derived<K, V> {
  const table = new Table<K, V>(name);
  const refresh = (): void => table.replaceAll(compute());
  refresh();
  const stops = inputs.map(input => input.observe(refresh));
  return Object.assign(table, {
    stop: (): void => {
      for (const stop of stops) stop();
    },
  });
}

/** The part of a Collection that `derive` needs, free of its row type. */
export interface ObservableInput {
  observe(observer: () => void): () => void;
}

/**
 * Structural equality of plain data (objects, arrays, bytes, primitives). Anything else, such as a key
 * or a Map, equals only itself: its state is hidden, and a change missed is worse than one too many.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array) || a.length !== b.length)
      return false;
    return a.every((byte, i) => byte === b[i]);
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => sameValue(item, b[i]));
  }
  if (!isPlain(a) || !isPlain(b)) return false;
  const keysA = Object.keys(a);
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return (
    keysA.length === Object.keys(b).length &&
    keysA.every(key => Object.hasOwn(right, key) && sameValue(left[key], right[key]))
  );
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

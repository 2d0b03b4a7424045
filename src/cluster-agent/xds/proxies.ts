/** The proxies this agent has served: who, since when, and what each has acknowledged or refused. */

import type { WorkloadName } from '../../mesh/names.ts';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import type { ResourceType } from '../../wire/xds/resource.ts';
import type { StreamOutcome } from './delta-stream.ts';

export interface ProxyStatus {
  readonly name: WorkloadName;
  readonly kind: 'sidecar' | 'gateway';
  readonly spiffeId: SpiffeId;
  readonly connected: boolean;
  /** When `connected` last changed. */
  readonly sinceMs: number;
  readonly acked: Readonly<Partial<Record<ResourceType, string>>>;
  readonly lastAckMs: number | undefined;
  /** Until nothing of the type, as it is now, is refused. */
  readonly nack?: { readonly type: ResourceType; readonly message: string };
}

export type ProxyIdentity = Pick<ProxyStatus, 'name' | 'kind' | 'spiffeId'>;

const NACK_MESSAGE_CHARS_MAX = 1_000;

export class Proxies {
  readonly #rows = new Map<string, ProxyStatus>();
  readonly #streams = new Map<string, number>();
  readonly #rowsMax: number;
  readonly #now: () => number;

  constructor(rowsMax: number, now: () => number) {
    this.#rowsMax = rowsMax;
    this.#now = now;
  }

  list(): ProxyStatus[] {
    return [...this.#rows.values()];
  }

  /** A stream has begun; returns what its end calls. A proxy may reconnect before the old one ends. */
  connected(proxy: ProxyIdentity): () => void {
    const key = keyOf(proxy);
    const known = this.#rows.get(key) ?? { acked: {}, lastAckMs: undefined };
    this.#rows.delete(key);
    this.#makeRoom();
    this.#rows.set(key, { ...known, ...proxy, connected: true, sinceMs: this.#now() });
    this.#streams.set(key, (this.#streams.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#streams.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#streams.set(key, left);
        return;
      }
      this.#streams.delete(key);
      const row = this.#rows.get(key);
      if (row !== undefined) {
        this.#rows.set(key, { ...row, connected: false, sinceMs: this.#now() });
      }
    };
  }

  record(proxy: ProxyIdentity, outcome: StreamOutcome): void {
    const key = keyOf(proxy);
    const row = this.#rows.get(key);
    if (row === undefined) return;
    if (outcome.kind === 'acked') {
      const { nack, ...rest } = row;
      const settled = nack?.type === outcome.type && !outcome.refusing;
      const kept = nack === undefined || settled ? {} : { nack };
      const acked = { ...row.acked, [outcome.type]: outcome.version };
      this.#rows.set(key, { ...rest, ...kept, acked, lastAckMs: this.#now() });
    } else if (outcome.kind === 'nacked') {
      const message = outcome.message.slice(0, NACK_MESSAGE_CHARS_MAX);
      this.#rows.set(key, { ...row, nack: { type: outcome.type, message } });
    }
  }

  /** Rows are in order of connection, so the first one without a stream has been gone longest. */
  #makeRoom(): void {
    if (this.#rows.size < this.#rowsMax) return;
    for (const [key, row] of this.#rows) {
      if (row.connected) continue;
      this.#rows.delete(key);
      return;
    }
  }
}

/** Names are claimed, identities proven: a claimed name can only overwrite its own identity's rows. */
function keyOf({ spiffeId, name }: ProxyIdentity): string {
  return `${spiffeId} ${name}`;
}

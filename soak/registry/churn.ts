/**
 * A member cluster that exists to be watched: it writes, rewrites and withdraws its exports all the time
 * and remembers each write, whether it was acknowledged, and at which revision.
 */

import type { RegistryClient } from '../../src/global-registry/client.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import {
  type ClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
} from '../../src/mesh/names.ts';
import { parseTrustDomain, requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { VERSION } from '../../src/runtime/version.ts';
import { idOf, type RegistryRecord } from '../../src/wire/registry-records.ts';
import type { Write } from '../history/history.ts';

const KEYS = 40;
/** Of the keys, so many are withdrawn now and then; the others must never be missing. */
const WITHDRAWN_KEYS = 8;
const PAUSE_MS = 60;
const BARRIER_RETRY_MS = 100;

export class Churn {
  readonly name = 'churn';
  readonly writes: Write[] = [];
  readonly #cluster: ClusterName;
  readonly #client: RegistryClient;
  readonly #random: () => number;
  #count = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(cluster: ClusterName, client: RegistryClient, random: () => number) {
    this.#cluster = cluster;
    this.#client = client;
    this.#random = random;
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#client.publish({ puts: [configOf(this.#cluster)], deletes: [] });
    while (!signal.aborted) {
      const key = Math.floor(this.#random() * KEYS);
      const withdraw = key < WITHDRAWN_KEYS && this.#random() < 0.3;
      await this.#write(key, withdraw);
      await sleep(PAUSE_MS, signal);
    }
  }

  /** The revision of a write that was acknowledged after this was asked. */
  async barrier(signal: AbortSignal): Promise<bigint> {
    for (;;) {
      const revision = await this.#write(KEYS - 1, false);
      if (revision !== undefined) return revision;
      if (signal.aborted) throw new Error('the registry takes no writes');
      await sleep(BARRIER_RETRY_MS, signal);
    }
  }

  /** One at a time, or the order of two writes to one key would be anybody's guess. */
  #write(key: number, withdraw: boolean): Promise<bigint | undefined> {
    const turn = this.#turn.then(() => this.#publish(key, withdraw));
    this.#turn = turn;
    return turn;
  }

  async #publish(key: number, withdraw: boolean): Promise<bigint | undefined> {
    this.#count += 1;
    const token = `w${this.#count}-${this.#cluster}`;
    const record = exportOf(this.#cluster, key, token);
    const startMs = performance.now();
    const name = keyName(this.#cluster, record);
    const entry = { key: name, token: withdraw ? undefined : token, startMs };
    try {
      const revision = await this.#client.publish(
        withdraw ? { puts: [], deletes: [idOf(record)] } : { puts: [record], deletes: [] },
      );
      this.writes.push({ ...entry, revision });
      return revision;
    } catch (error) {
      if (!isMeshError(error)) throw error;
      this.writes.push({ ...entry, revision: undefined });
      return undefined;
    }
  }
}

/** The history's key of a record. */
export function keyName(cluster: ClusterName, record: RegistryRecord): string {
  if (record.kind !== 'export-slice') return `${cluster}/${record.kind}`;
  return `${cluster}/${record.slice.namespace}/${record.slice.name}`;
}

/** The history's token of a record: written where nothing else looks. */
export function tokenOf(record: RegistryRecord): string | undefined {
  if (record.kind !== 'export-slice') return undefined;
  return record.slice.endpoints[0]?.locality.zone;
}

function exportOf(cluster: ClusterName, key: number, token: string): RegistryRecord {
  return {
    kind: 'export-slice',
    slice: {
      namespace: parseNamespace(cluster),
      name: parseServiceName(`churn-${key}`),
      slice: 0,
      ports: [{ port: 80, protocol: 'tcp' }],
      exportTo: 'all',
      endpoints: [
        {
          workload: parseWorkloadName(`churn-${key}`),
          cluster,
          spiffeId: requireSpiffeId(`spiffe://${cluster}.example/ns/churn/sa/churn`),
          locality: { region: 'churn', zone: token },
          address: { host: '127.0.0.1', port: 9 },
        },
      ],
    },
  };
}

function configOf(cluster: ClusterName): RegistryRecord {
  return {
    kind: 'config',
    config: {
      name: cluster,
      instance: 'churn',
      trustDomain: parseTrustDomain(`${cluster}.example`),
      locality: { region: 'churn', zone: 'churn' },
      network: cluster,
      gateways: [],
      version: VERSION,
      startedMs: 0,
      capabilities: [],
    },
  };
}

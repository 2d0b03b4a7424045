import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type RegistryPort,
  RegistrySubscriber,
} from '../../src/cluster-agent/registry/registry-subscriber.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { aborted, sleep } from '../../src/runtime/supervise.ts';
import type { RegistryUpdate, WatchPosition } from '../../src/wire/registry-records.ts';
import { digestOf } from '../../src/wire/registry-updates.ts';
import { publishedCluster } from './published-cluster.ts';

const log = createLogger('test');
log.level = 'silent';
const WEST = parseClusterName('west');
const position: WatchPosition = { storeId: 's', revision: 5n };
const records = publishedCluster('west', ['payments-0']).map(record => ({
  cluster: WEST,
  record,
  revision: 5n,
}));
const table: RegistryUpdate = { kind: 'replace-all', position, records, intents: [] };
const heartbeat = (digest: bigint): RegistryUpdate => ({ kind: 'heartbeat', position, digest });

describe("a digest of the registry's", () => {
  let stateDir: string;

  before(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'isthmus-digest-'));
  });
  after(() => rm(stateDir, { recursive: true }));

  /** What each watch asked for, when every first update is followed by this digest. */
  async function watchesWith(digest: bigint): Promise<(WatchPosition | undefined)[]> {
    const asked: (WatchPosition | undefined)[] = [];
    const agreed = new AbortController();
    const registry = {
      async *watch(from: WatchPosition | undefined, signal: AbortSignal) {
        asked.push(from);
        yield table;
        yield heartbeat(digest);
        agreed.abort();
        await aborted(signal);
      },
    } as unknown as RegistryPort;
    const subscriber = new RegistrySubscriber({ registry, stateDir, log, now: Date.now });
    const stop = new AbortController();
    const running = subscriber.run(stop.signal);
    while (asked.length < 2 && !agreed.signal.aborted) await sleep(5);
    stop.abort();
    await running;
    expect(subscriber.clusters.entries().size).to.equal(1);
    return asked;
  }

  it('that the agent agrees with changes nothing', async () => {
    expect(await watchesWith(digestOf(records, []))).to.have.length(1);
  });

  it('that it does not agree with makes it ask for the whole table again, and keep what it has until then', async () => {
    const asked = await watchesWith(digestOf(records.slice(1), []));
    expect(asked.length).to.be.greaterThan(1);
    expect(asked.every(from => from === undefined)).to.equal(true);
  });

  it('is not needed after a start: the whole table is asked for, and nothing older is believed', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'isthmus-digest-'));
    const asked: (WatchPosition | undefined)[] = [];
    const agent = (update: RegistryUpdate): RegistrySubscriber => {
      const registry = {
        async *watch(from: WatchPosition | undefined, signal: AbortSignal) {
          asked.push(from);
          yield update;
          await aborted(signal);
        },
      } as unknown as RegistryPort;
      return new RegistrySubscriber({ registry, stateDir: dir, log, now: Date.now });
    };
    const runUntil = async (
      subscriber: RegistrySubscriber,
      done: () => boolean,
    ): Promise<RegistrySubscriber> => {
      const stop = new AbortController();
      const running = subscriber.run(stop.signal);
      while (!done()) await sleep(5);
      stop.abort();
      await running;
      return subscriber;
    };
    const first = agent(table);
    await runUntil(first, () => first.connected);
    const second = agent({ ...table, position: { ...position, revision: 4n }, records: [] });
    await second.load();
    await runUntil(second, () => asked.length > 2);
    expect(asked.every(from => from === undefined)).to.equal(true);
    expect(second.position).to.deep.equal(position);
    expect(second.clusters.entries().size).to.equal(1);
    await rm(dir, { recursive: true });
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { RegistrySubscriber } from '../../src/cluster-agent/registry/registry-subscriber.ts';
import { type Intent, intentKey } from '../../src/mesh/intent.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { FakeRegistry } from './fake-registry.ts';

const log = createLogger('test');
log.level = 'silent';

const drain: Intent = {
  kind: 'drain',
  cluster: parseClusterName('west'),
  startMs: 1_000,
  overMs: 60_000,
  reason: 'new kernel',
  atMs: 1_000,
  by: 'ada',
};

describe("the operators' intents at an agent", () => {
  let stateDir: string;

  before(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'isthmus-intents-'));
  });
  after(() => rm(stateDir, { recursive: true }));

  it('arrive with the watch and are there after a start without the registry', async () => {
    const fake = new FakeRegistry();
    const subscriberOf = (): RegistrySubscriber => {
      const registry = fake.clientOf(parseClusterName('east'));
      return new RegistrySubscriber({ registry, stateDir, log, now: Date.now });
    };
    const subscriber = subscriberOf();
    const stop = new AbortController();
    const running = subscriber.run(stop.signal);
    while (!subscriber.connected) await sleep(5);
    expect(subscriber.intents.entries().size).to.equal(0);
    fake.want(drain);
    while (subscriber.intents.entries().size === 0) await sleep(5);
    expect(subscriber.intents.get(intentKey(drain))).to.deep.equal(drain);
    stop.abort();
    await running;

    fake.unplug();
    const restarted = subscriberOf();
    await restarted.load();
    expect(restarted.connected).to.equal(false);
    expect(restarted.intents.get(intentKey(drain))).to.deep.equal(drain);
  });
});

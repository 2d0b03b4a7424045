import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createRegistryMetrics } from '../../../src/global-registry/metrics.ts';
import { AuditJournal } from '../../../src/global-registry/operators/audit.ts';
import {
  deleteIntent,
  type IntentTable,
  listIntents,
  putIntent,
} from '../../../src/global-registry/operators/intents.ts';
import { openEmbeddedStore } from '../../../src/global-registry/store/embedded-store.ts';
import type { RegistryStore } from '../../../src/global-registry/store/store.ts';
import { type Subscription, subscribe } from '../../../src/global-registry/table/fan-out.ts';
import { TableMirror } from '../../../src/global-registry/table/table-mirror.ts';
import { WatchMessages } from '../../../src/global-registry/table/watch-messages.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { type Intent, intentKey } from '../../../src/mesh/intent.ts';
import type { ClusterName } from '../../../src/mesh/names.ts';
import { createLogger } from '../../../src/runtime/log.ts';
import { WatchResponse } from '../../../src/wire/generated/isthmus/registry/v1/registry.ts';
import type { RegistryUpdate } from '../../../src/wire/registry-records.ts';
import { UpdateReader } from '../../../src/wire/registry-updates.ts';

const log = createLogger('test');
log.level = 'silent';

const drain: Intent = {
  kind: 'drain',
  cluster: 'west' as ClusterName,
  startMs: 1_000,
  overMs: 60_000,
  reason: 'new kernel',
  atMs: 1_000,
  by: 'ada',
};
const longer: Intent = { ...drain, overMs: 120_000 };

describe('intents in the table', () => {
  let dir: string;
  let store: RegistryStore;
  let mirror: TableMirror;
  let other: TableMirror;
  const stop = new AbortController();
  const running: Promise<void>[] = [];

  const tableOf = (each: TableMirror): IntentTable => ({
    store,
    mirror: each,
    journal: new AuditJournal({ mirror: each, registry: 'test', log, now: Date.now }),
  });
  const subscription = (): Subscription => ({
    mirror,
    messages: new WatchMessages(),
    reader: 'east' as ClusterName,
    from: undefined,
    heartbeatMs: undefined,
    onResync: () => undefined,
  });

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-intents-'));
    store = await openEmbeddedStore({ dir: join(dir, 'store'), log });
    const mirrorOf = (): TableMirror =>
      new TableMirror({ store, log, metrics: createRegistryMetrics() });
    [mirror, other] = [mirrorOf(), mirrorOf()];
    for (const each of [mirror, other]) running.push(each.run(stop.signal));
    await Promise.all([mirror, other].map(each => each.changed(stop.signal)));
  });
  after(async () => {
    stop.abort();
    await Promise.all(running);
    await store.close();
    await rm(dir, { recursive: true });
  });

  it('are written, replaced and deleted, and every watch hears of it', async () => {
    const seen: RegistryUpdate[] = [];
    const reader = new UpdateReader(error => {
      throw error;
    });
    const watching = (async () => {
      for await (const message of subscribe(subscription(), AbortSignal.timeout(10_000))) {
        const update = reader.read(WatchResponse.decode(message));
        if (update !== undefined) seen.push(update);
        if (seen.length === 4) break;
      }
    })();
    await putIntent(tableOf(mirror), drain);
    expect(listIntents(mirror).map(({ intent }) => intent)).to.deep.equal([drain]);
    await putIntent(tableOf(mirror), longer);
    expect(listIntents(mirror).map(({ intent }) => intent)).to.deep.equal([longer]);
    expect(await deleteIntent(tableOf(mirror), intentKey(drain), 'ada')).to.equal(true);
    expect(await deleteIntent(tableOf(mirror), intentKey(drain), 'ada')).to.equal(false);
    expect(listIntents(mirror)).to.deep.equal([]);
    await watching;
    const changes = seen.flatMap(update => (update.kind === 'changes' ? update.changes : []));
    expect(changes.map(({ kind }) => kind)).to.deep.equal([
      'put-intent',
      'put-intent',
      'delete-intent',
    ]);
    const [first] = changes;
    expect(first?.kind === 'put-intent' && first.stored.intent).to.deep.equal(drain);
  });

  it('are in the whole table that a new watch begins with', async () => {
    await putIntent(tableOf(mirror), drain);
    const { value } = await subscribe(subscription(), stop.signal).next();
    const update = new UpdateReader(error => {
      throw error;
    }).read(WatchResponse.decode(value!));
    expect(
      update?.kind === 'replace-all' && update.intents.map(({ intent }) => intent),
    ).to.deep.equal([drain]);
    await deleteIntent(tableOf(mirror), intentKey(drain), 'ada');
  });

  it('changed by two operators at once are changed by one, and the other is told', async () => {
    const revision = await putIntent(tableOf(mirror), drain);
    await other.reached(revision, AbortSignal.timeout(5_000));
    const attempts = [mirror, other].map(async each => {
      try {
        await putIntent(tableOf(each), longer);
        return 'ok';
      } catch (error) {
        return isMeshError(error) ? error.code : String(error);
      }
    });
    expect(await Promise.all(attempts)).to.have.members(['ok', 'REVISION_CONFLICT']);
    await other.reached(mirror.revision, AbortSignal.timeout(5_000));
    expect(await deleteIntent(tableOf(other), intentKey(drain), 'ada')).to.equal(true);
  });
});

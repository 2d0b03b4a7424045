import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Notice } from '../../src/global-registry/client.ts';
import { PUBLISHES_BURST_MAX } from '../../src/global-registry/limits.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import type { RpcChannel } from '../../src/runtime/rpc-client.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as Status,
} from '../../src/wire/generated/grpc/health/v1/health.ts';
import { RegistryOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/registry.ts';
import {
  type AuditEntry,
  PublishRequest,
  RegistryDefinition,
} from '../../src/wire/generated/isthmus/registry/v1/registry.ts';
import { formatRecord, type RegistryRecord } from '../../src/wire/registry-records.ts';
import { startEtcd } from '../support/etcd.ts';
import { configOf, sliceOf, trustDomainOf, west } from './records.ts';
import { codeOf, eventually, next, type Placed, RegistryBed, seenBy } from './registry-bed.ts';

const { methods } = RegistryOperatorDefinition;
const CART = { namespace: 'shop', service: 'cart', reason: '', by: 'ada' };
const alive: RegistryRecord = { kind: 'alive', instance: 'i1' };

describe('a federation', function () {
  this.timeout(60_000);
  let bed: RegistryBed;
  let registry: Placed;
  let counter = 0;

  before(async () => {
    bed = await RegistryBed.create();
  });
  beforeEach(async () => {
    registry = await bed.start(String(counter++));
  });
  afterEach(() => bed.reset());
  after(() => bed.close());

  const journal = async (): Promise<AuditEntry[]> => {
    const entries: AuditEntry[] = [];
    const all = registry.operator.serverStream(
      methods.audit,
      { follow: false },
      AbortSignal.timeout(5_000),
    );
    for await (const { entry } of all) if (entry !== undefined) entries.push(entry);
    return entries;
  };
  const actions = async (): Promise<string[]> =>
    (await journal()).flatMap(({ changes }) =>
      changes.map(each => `${each.action} ${each.subject}`),
    );
  /** Joins with a lease; resolves to what the registry has to say. */
  const join_ = async (
    cluster: string,
    ...records: readonly RegistryRecord[]
  ): Promise<() => Promise<readonly Notice[]>> => {
    const client = bed.clientOf(cluster, registry);
    const { leaseId } = await client.grantLease(10_000);
    await client.publish({ puts: [configOf(cluster), alive, ...records], deletes: [], leaseId });
    return () => client.keepAlive(leaseId);
  };

  it('shows a second exporter of a service to the others once it is approved, and both see why not', async () => {
    const east = await join_('east', sliceOf('east'));
    const westNotices = await join_('west', sliceOf('west'));
    const eu = bed.clientOf('eu', registry);
    expect(await seenBy(eu))
      .to.include('east shop/cart')
      .and.not.include('west shop/cart');
    for (const notices of [await east(), await westNotices()]) {
      expect(notices.map(({ kind, subject }) => `${kind} ${subject}`)).to.deep.equal([
        'export-waiting shop/cart',
      ]);
      expect(notices[0]?.message).to.include('isthmus service approve shop/cart --cluster west');
    }
    const approve = { ...CART, cluster: 'west' };
    const { clusters } = await registry.operator.unary(methods.approveExport, approve);
    expect(clusters).to.deep.equal(['east', 'west']);
    expect(await seenBy(eu)).to.include.members(['east shop/cart', 'west shop/cart']);
    expect(await east()).to.deep.equal([]);
    const unknown = registry.operator.unary(methods.approveExport, { ...CART, cluster: 'eu' });
    expect(await codeOf(unknown)).to.equal('SERVICE_UNKNOWN');
  });

  it('tells watchers of approval and its end as records that come and go', async () => {
    await join_('east', sliceOf('east'));
    await join_('west', sliceOf('west'));
    const told: string[] = [];
    const watching = (async () => {
      const eu = bed.clientOf('eu', registry);
      for await (const update of eu.watch(undefined, AbortSignal.timeout(10_000))) {
        for (const change of update.kind === 'changes' ? update.changes : []) {
          if (change.kind === 'put') told.push(`+${change.stored.cluster}`);
          if (change.kind === 'delete') told.push(`-${change.cluster}`);
        }
        if (update.kind === 'replace-all') {
          await registry.operator.unary(methods.ownService, { ...CART, clusters: ['west'] });
          await registry.operator.unary(methods.disownService, CART);
        }
        if (told.length === 4) break;
      }
    })();
    await watching;
    expect(told.slice(0, 2)).to.have.members(['-east', '+west']);
    expect(told.slice(2)).to.have.members(['+east', '-west']);
  });

  it('sends an export to the clusters it is for and never to another', async () => {
    await join_('east', sliceOf('east', { exportTo: [west] }));
    expect(await seenBy(bed.clientOf('west', registry))).to.include('east shop/cart');
    expect(await seenBy(bed.clientOf('eu', registry))).to.deep.equal(['east alive', 'east config']);
  });

  it('passes on what only newer versions can read, through a restart and a whole table', async () => {
    const name = 'newer';
    const older = await bed.start(name);
    // Field 99, which nobody knows yet.
    const extended = (record: RegistryRecord): Buffer =>
      Buffer.concat([formatRecord(record), Buffer.from([0x98, 0x06, 0x07])]);
    const [config, slice] = [extended(configOf('east')), extended(sliceOf('east'))];
    const publish = RegistryDefinition.methods.publish;
    const request = PublishRequest.fromPartial({ puts: [config, slice] });
    await bed.channelOf('east', older, RegistryDefinition).unary(publish, request);
    await bed.clientOf('west', older).publish({ puts: [configOf('west')], deletes: [] });
    await older.stop();
    const again = await bed.start(name);
    const { watch } = RegistryDefinition.methods;
    const reader = bed.channelOf('west', again, RegistryDefinition);
    const found: Buffer[] = [];
    for await (const { body } of reader.serverStream(
      watch,
      watch.requestType.create(),
      AbortSignal.timeout(10_000),
    )) {
      if (body?.$case !== 'replaceAll') continue;
      found.push(...body.value.records.map(({ record }) => Buffer.from(record)));
      if (!body.value.more) break;
    }
    expect(found.map(each => each.toString('hex'))).to.include.members([
      config.toString('hex'),
      slice.toString('hex'),
    ]);
    expect(await seenBy(bed.clientOf('west', again))).to.include('east shop/cart');
  });

  it("adds nothing to an operator's word that says more than it can read", async () => {
    await join_('east', sliceOf('east'));
    await join_('west', sliceOf('west'));
    await registry.operator.unary(methods.ownService, { ...CART, clusters: ['east'] });
    const { intents } = await registry.operator.unary(methods.listIntents, {});
    const [word] = intents;
    const approve = { ...CART, cluster: 'west' };
    const newer = Buffer.concat([word?.intent ?? Buffer.alloc(0), Buffer.from([0x98, 0x06, 0x07])]);
    await registry.operator.unary(methods.putIntent, { intent: newer });
    expect(await codeOf(registry.operator.unary(methods.approveExport, approve))).to.equal(
      'REQUEST_INVALID',
    );
    await registry.operator.unary(methods.putIntent, { intent: word?.intent ?? Buffer.alloc(0) });
    expect(await codeOf(registry.operator.unary(methods.approveExport, approve))).to.equal('ok');
  });

  it('shows who imports each export, and how far they have come', async () => {
    await join_('east', sliceOf('east'));
    const client = bed.clientOf('west', registry);
    const { leaseId } = await client.grantLease(10_000);
    await client.publish({ puts: [configOf('west'), alive], deletes: [], leaseId });
    const behind = { ...(await next(client)).position, revision: 1n };
    interface Export {
      readonly cluster: string;
      readonly importers: readonly { readonly cluster: string; readonly current: boolean }[];
    }
    const importers = async (): Promise<string[]> =>
      (await registry.debug<Export[]>('/debug/exports')).flatMap(each =>
        each.importers.map(
          ({ cluster, current }) => `${cluster} ${current ? 'current' : 'behind'}`,
        ),
      );
    expect(await importers()).to.deep.equal([]);
    const { position } = await next(client);
    await client.keepAlive(leaseId, position);
    expect(await importers()).to.deep.equal(['west current']);
    await bed
      .clientOf('east', registry)
      .publish({ puts: [sliceOf('east', { endpoints: 2 })], deletes: [] });
    expect(await importers()).to.deep.equal(['west behind']);
    await client.keepAlive(leaseId, behind);
    expect(await importers()).to.deep.equal(['west behind']);
  });

  it('refuses a second agent of a live cluster, and tells the first and the journal', async () => {
    const notices = await join_('east');
    const second = bed.clientOf('east', registry);
    const config = configOf('east', trustDomainOf('east'), { instance: 'i2' });
    const attempt = { puts: [config], deletes: [], instance: 'i2' };
    const error = await second.publish(attempt).catch((thrown: unknown) => thrown);
    expect(isMeshError(error, 'INSTANCE_CONFLICT') && error.message).to.match(/held by agent "i1"/);
    await eventually(async () => (await notices()).length > 0);
    const [notice] = await notices();
    expect(notice?.kind).to.equal('rival-instance');
    expect(notice?.message).to.match(/another agent, "i2" at 127\.0\.0\.1:\d+, claimed to be/);
    expect(await actions()).to.include('refused east');
    expect(await codeOf(second.publish({ ...attempt, previousInstances: ['i1'] }))).to.equal('ok');
  });

  it('undoes nothing newer with a publish that was long on its way', async () => {
    const east = bed.clientOf('east', registry);
    await east.publish({ puts: [configOf('east')], deletes: [] });
    const { position: asOf } = await next(east);
    const late = { puts: [sliceOf('east', { endpoints: 1 })], deletes: [], asOf };
    await east.publish({ puts: [sliceOf('east', { endpoints: 2 })], deletes: [], asOf });
    expect(await codeOf(east.publish(late))).to.equal('REVISION_CONFLICT');
    const { position } = await next(east);
    await east.publish({ puts: [], deletes: [{ kind: 'synced' }], asOf: position });
    expect(await codeOf(east.publish({ ...late, asOf: position }))).to.equal('ok');
    const removed = { kind: 'export-slice', namespace: 'shop', name: 'cart', slice: 0 } as const;
    await east.publish({ puts: [], deletes: [removed as never] });
    expect(await codeOf(east.publish({ ...late, asOf: position }))).to.equal('REVISION_CONFLICT');
  });

  it('keeps a journal that says who did what, and goes on with what happens next', async () => {
    await join_('east', sliceOf('east'));
    const drain = bed.clientOf('east', registry);
    await drain.publish({
      puts: [],
      deletes: [{ kind: 'export-slice', namespace: 'shop', name: 'cart', slice: 0 } as never],
    });
    expect(await actions()).to.deep.equal([
      'cluster-joined east',
      'export-added shop/cart of east',
      'export-removed shop/cart of east',
    ]);
    const [joined] = await journal();
    expect(joined?.who).to.equal('spiffe://clusterset.example/cluster/east');
    expect(joined?.changes[0]?.after).to.include('trust domain east.example');
    const followed: string[] = [];
    const stop = AbortSignal.timeout(10_000);
    for await (const { entry } of registry.operator.serverStream(
      methods.audit,
      { follow: true },
      stop,
    )) {
      followed.push(...(entry?.changes.map(({ action }) => action) ?? []));
      if (followed.length === 3) {
        await registry.operator.unary(methods.ownService, { ...CART, clusters: ['east'] });
      }
      if (followed.length === 4) break;
    }
    expect(followed.at(-1)).to.equal('intent-set');
  });

  it('slows down a cluster that publishes without end, and no other', async () => {
    const startedMs = Date.now();
    const embedded = { kind: 'embedded' as const };
    const still = await bed.start('still', embedded, 'registry.yaml', true, () => startedMs);
    const east = bed.clientOf('east', still);
    const publication = { puts: [], deletes: [{ kind: 'synced' as const }] };
    const publishMany = (count: number): Promise<string[]> =>
      Promise.all(Array.from({ length: count }, () => codeOf(east.publish(publication))));
    for (let done = 0; done < PUBLISHES_BURST_MAX; done += 50) {
      expect(new Set(await publishMany(50))).to.deep.equal(new Set(['ok']));
    }
    expect(await publishMany(1)).to.deep.equal(['LIMIT_EXCEEDED']);
    expect(await codeOf(bed.clientOf('west', still).publish(publication))).to.equal('ok');
  });

  it('answers health checks of what it has, and of nothing else', async () => {
    const health = bed.channelOf('east', registry, HealthDefinition);
    const { check, watch } = HealthDefinition.methods;
    for (const service of ['', 'isthmus.registry.v1.Registry']) {
      expect((await health.unary(check, { service })).status).to.equal(Status.SERVING);
    }
    expect(await codeOf(health.unary(check, { service: 'other' }))).to.equal('SERVICE_UNKNOWN');
    const first = async (from: RpcChannel): Promise<number | undefined> => {
      const stop = AbortSignal.timeout(10_000);
      for await (const { status } of from.serverStream(watch, { service: '' }, stop)) return status;
      return undefined;
    };
    expect(await first(health)).to.equal(Status.SERVING);
    const nobody = await findFreeAddress('127.0.0.1');
    const store = { kind: 'etcd' as const, endpoints: [nobody] };
    const lost = await bed.start(String(counter++), store, 'registry.yaml', false);
    const sick = bed.channelOf('east', lost, HealthDefinition);
    expect((await sick.unary(check, { service: '' })).status).to.equal(Status.NOT_SERVING);
    expect(await first(sick)).to.equal(Status.NOT_SERVING);
  });

  it('shows a renewed certificate to the next caller, and keeps the last good one when files are bad', async () => {
    const east = bed.clientOf('east', registry);
    await east.publish({ puts: [configOf('east')], deletes: [] });
    const file = join(registry.stateDir, 'identity', 'identity.pem');
    await rename(file, `${file}.away`);
    interface Ready {
      readonly waiting?: { readonly credentials?: string };
    }
    await eventually(async () => {
      const { waiting } = await registry.debug<Ready>('/ready');
      return waiting?.credentials !== undefined;
    });
    expect(await seenBy(bed.clientOf('east', registry))).to.deep.equal(['east config']);
    await bed.writeCredentials(registry.stateDir);
    await eventually(async () => {
      const { waiting } = await registry.debug<Ready>('/ready');
      return waiting === undefined;
    });
    expect(await seenBy(bed.clientOf('east', registry))).to.deep.equal(['east config']);
  });
});

describe('a registry whose store was put back', function () {
  this.timeout(60_000);
  let bed: RegistryBed;

  before(async () => {
    bed = await RegistryBed.create();
  });
  after(() => bed.close());

  interface StoreState {
    readonly frozen?: string;
    readonly storeId?: string;
  }

  it('refuses writes and says so, serves on once an operator confirms, and agents start over', async () => {
    const first = await bed.start('one');
    const east = bed.clientOf('east', first);
    await east.publish({ puts: [configOf('east')], deletes: [] });
    const { position } = await next(east);
    await first.stop();
    // Somebody moved the store away: there is an empty one in its place.
    await rename(join(first.stateDir, 'store'), join(first.stateDir, 'store-lost'));
    const second = await bed.start('one');
    await eventually(
      async () => (await second.debug<StoreState>('/debug/store')).frozen !== undefined,
    );
    const ready = await second.debug<{ waiting?: { frozen?: string } }>('/ready');
    expect(ready.waiting?.frozen).to.match(/store ".*" has been replaced by ".*"/);
    const back = bed.clientOf('east', second);
    const publication = { puts: [configOf('east')], deletes: [] };
    expect(await codeOf(back.publish(publication))).to.equal('STORE_UNAVAILABLE');
    const { wrong } = await second.operator.unary(methods.confirmStore, { by: 'ada' });
    expect(wrong).to.match(/has been replaced/);
    await eventually(async () => (await codeOf(back.publish(publication))) === 'ok');
    const update = await next(back, position);
    expect(update.kind).to.equal('replace-all');
    expect(update.position.storeId).to.match(/\/1$/);
  });

  it('is not led by an etcd restored from a backup: it shows what it had, and takes no writes until an operator confirms', async () => {
    const etcd = await startEtcd();
    try {
      const store = { kind: 'etcd' as const, endpoints: [etcd.address] };
      const registry = await bed.start('restored', store);
      const east = bed.clientOf('east', registry);
      await east.publish({ puts: [configOf('east')], deletes: [] });
      await etcd.saveBackup();
      const publication = { puts: [sliceOf('east')], deletes: [] };
      await east.publish(publication);
      await etcd.restoreBackup();
      const frozen = async (): Promise<string | undefined> =>
        (await registry.debug<StoreState>('/debug/store')).frozen;
      await eventually(async () => (await frozen()) !== undefined);
      expect(await frozen()).to.match(/has gone back from (term|revision)/);
      expect(await seenBy(bed.clientOf('west', registry))).to.include('east shop/cart');
      expect(await codeOf(east.publish(publication))).to.equal('STORE_UNAVAILABLE');
      await registry.operator.unary(methods.confirmStore, { by: 'ada' });
      await eventually(async () => (await codeOf(east.publish(publication))) === 'ok');
      expect(await seenBy(bed.clientOf('west', registry))).to.include('east shop/cart');
    } finally {
      await bed.reset();
      await etcd.stop();
    }
  });

  it('is not confused by an ordinary restart', async () => {
    const first = await bed.start('two');
    await bed.clientOf('east', first).publish({ puts: [configOf('east')], deletes: [] });
    await first.stop();
    const second = await bed.start('two');
    expect((await second.debug<StoreState>('/debug/store')).frozen).to.equal(undefined);
    expect(await seenBy(bed.clientOf('east', second))).to.deep.equal(['east config']);
  });
});

/** The registry, assembled: store → mirror → handlers → listener, and the admin server beside them. */

import { join } from 'node:path';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { registryId } from '../mesh/spiffe-id.ts';
import { AdminServer } from '../runtime/admin.ts';
import { LastKnownGood } from '../runtime/last-known-good.ts';
import type { Logger } from '../runtime/log.ts';
import { operatorSocket } from '../runtime/operator-socket.ts';
import { processFacts } from '../runtime/process-facts.ts';
import { ensurePrivateDir } from '../runtime/state-file.ts';
import type { Task } from '../runtime/supervise.ts';
import { envelopeProofs } from '../trust-federation/bundles/bundle-envelope.ts';
import { openCredentials } from '../trust-federation/identity/credentials-folder.ts';
import { anyMember } from '../trust-federation/peers/authorizer.ts';
import { RefusedPeers } from '../trust-federation/peers/refused-peers.ts';
import { RpcListener } from '../trust-federation/peers/rpc-listener.ts';
import { Refusals } from './admission/refusals.ts';
import type { RegistryConfig } from './config.ts';
import { healthService } from './health-service.ts';
import { Importers } from './importers.ts';
import { describeRecord } from './keys.ts';
import { CONNECTIONS_MAX, HANDSHAKE_MS_MAX, STOP_GRACE_MS, STORE_MARK_DELAY_MS } from './limits.ts';
import { ClusterRevocations } from './membership/cluster-revocations.ts';
import { createMemberships } from './membership/memberships.ts';
import { createRegistryMetrics } from './metrics.ts';
import { AuditJournal } from './operators/audit.ts';
import { listIntents } from './operators/intents.ts';
import { registryOperatorService } from './operators/operator-service.ts';
import { registryService } from './registry-service.ts';
import { openEmbeddedStore } from './store/embedded-store.ts';
import { EtcdStore } from './store/etcd-store.ts';
import { loadEtcdTls } from './store/etcd-tls.ts';
import type { RegistryStore } from './store/store.ts';
import { formatMark, parseMark } from './table/rewind.ts';
import { TableMirror } from './table/table-mirror.ts';

export interface Registry {
  readonly address: SocketAddress;
  readonly admin: SocketAddress;
  /** Where clusters join; undefined where they cannot. */
  readonly join: SocketAddress | undefined;
  readonly tasks: readonly Task[];
}

/** Binds every socket; the tasks do the rest. */
export async function createRegistry(
  config: RegistryConfig,
  stateDir: string,
  log: Logger,
  configFile: string,
  now: () => number = Date.now,
): Promise<Registry> {
  const { clusterSet } = config;
  await ensurePrivateDir(stateDir);
  const credentials = await openCredentials({
    dir: join(stateDir, 'identity'),
    id: registryId(clusterSet),
    log,
  });
  const metrics = createRegistryMetrics();
  const store = await openStore(config, stateDir, configFile, log);
  const position: LastKnownGood = new LastKnownGood({
    path: join(stateDir, 'store-position'),
    serialise: () => (mirror.mark === undefined ? Buffer.alloc(0) : formatMark(mirror.mark)),
    delayMs: STORE_MARK_DELAY_MS,
    log,
  });
  const mark = await position.load(parseMark);
  const mirror: TableMirror = new TableMirror({
    store,
    log,
    metrics,
    ...(mark === undefined ? {} : { mark }),
    onMark: () => position.touch(),
  });
  const journal = new AuditJournal({ mirror, registry: formatAddress(config.listen), log, now });
  const refusals = new Refusals({ store, journal, clusterSet, metrics, log, now });
  const importers = new Importers(mirror, now);
  const table = { store, mirror, journal };
  const memberships = await createMemberships({
    config,
    stateDir,
    credentials,
    table,
    metrics,
    log,
    now,
  });
  const revocations = new ClusterRevocations({
    table,
    roots: () => credentials.bundle(),
    signer: memberships.statementSigner,
    log,
    now,
  });
  credentials.observe(() => revocations.refresh());
  const service = registryService({
    ...table,
    refusals,
    importers,
    clusterSet,
    proofs: envelopeProofs(revocations.bundles, now),
    metrics,
    now,
  });
  const refusedPeers = new RefusedPeers(now);
  const listener = new RpcListener({
    name: 'registry',
    identity: memberships.identity,
    clients: { bundles: revocations.bundles, authorize: anyMember(clusterSet) },
    services: [service, memberships.renewals, healthService(mirror)],
    limits: {
      connectionsMax: CONNECTIONS_MAX,
      handshakeMsMax: HANDSHAKE_MS_MAX,
      stopGraceMs: STOP_GRACE_MS,
    },
    onRefused: refusal => {
      metrics.refusedPeers.inc({ reason: refusal.reason });
      refusedPeers.record('registry', refusal);
    },
    log,
    now,
  });

  const admin = new AdminServer({ metrics: metrics.registry, config });
  admin.debug('process', processFacts(stateDir, now));
  admin.ready('store', () => (mirror.storeId === undefined ? mirror.outage : undefined));
  admin.ready('frozen', () => mirror.frozen);
  admin.ready('credentials', () => credentials.problem);
  admin.debug('exports', () => importers.exports());
  admin.debug('records', () => recordsOf(mirror));
  admin.debug('refusals', () => refusedPeers.list());
  admin.debug('intents', () => listIntents(mirror));
  admin.debug('store', () => ({
    kind: store.kind,
    storeId: mirror.storeId,
    revision: String(mirror.revision),
    outage: mirror.outage,
    frozen: mirror.frozen,
  }));

  const operator = operatorSocket(
    stateDir,
    [registryOperatorService({ ...table, log, now }), memberships.operator, revocations.service()],
    log,
  );
  admin.debug('operator', () => ({ socket: operator.path }));
  await operator.listen();

  const adminAddress = await admin.listen(config.admin);
  const address = await listener.listen(config.listen);
  log.info(
    { address: formatAddress(address), admin: formatAddress(adminAddress), store: store.kind },
    'registry listening',
  );
  return {
    address,
    admin: adminAddress,
    join: memberships.joinAddress,
    tasks: [
      ...memberships.tasks,
      {
        name: 'listener',
        run: async signal => {
          await listener.run(signal);
          await store.close();
        },
      },
      { name: 'mirror', run: signal => mirror.run(signal) },
      revocations,
      position,
      { name: 'admin', isLast: true, run: signal => admin.run(signal) },
      operator,
    ],
  };
}

async function openStore(
  { store }: RegistryConfig,
  stateDir: string,
  configFile: string,
  log: Logger,
): Promise<RegistryStore> {
  switch (store.kind) {
    case 'embedded':
      return openEmbeddedStore({ dir: join(stateDir, 'store'), log });
    case 'etcd':
      return new EtcdStore(
        store.endpoints,
        store.tls === undefined ? undefined : await loadEtcdTls(store.tls, configFile),
      );
  }
}

function recordsOf(mirror: TableMirror): unknown {
  return [...mirror.rows.values()].flatMap(row =>
    row.kind === 'record'
      ? [
          {
            cluster: row.cluster,
            record: describeRecord(row.id),
            revision: String(row.entry.revision),
          },
        ]
      : [],
  );
}

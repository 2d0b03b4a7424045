/** The registry, assembled: store → mirror → handlers → listener, and the admin server beside them. */

import { join } from 'node:path';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError } from '../mesh/errors.ts';
import { registryId } from '../mesh/spiffe-id.ts';
import { AdminServer } from '../runtime/admin.ts';
import type { Logger } from '../runtime/log.ts';
import { operatorSocket } from '../runtime/operator-socket.ts';
import { processFacts } from '../runtime/process-facts.ts';
import { rpcService } from '../runtime/rpc-server.ts';
import { ensurePrivateDir } from '../runtime/state-file.ts';
import type { Task } from '../runtime/supervise.ts';
import { anyMember } from '../trust-federation/authorizer.ts';
import { envelopeProofs } from '../trust-federation/bundle-envelope.ts';
import {
  type ClusterSetCredentials,
  loadMemberCredentials,
} from '../trust-federation/clusterset-authority.ts';
import { RefusedPeers } from '../trust-federation/refused-peers.ts';
import { RpcListener } from '../trust-federation/rpc-listener.ts';
import { RegistryDefinition } from '../wire/generated/isthmus/registry/v1/registry.ts';
import { ClusterRevocations } from './cluster-revocations.ts';
import type { RegistryConfig } from './config.ts';
import { openEmbeddedStore } from './embedded-store.ts';
import { EtcdStore } from './etcd-store.ts';
import { listIntents } from './intents.ts';
import { describeRecord } from './keys.ts';
import { CONNECTIONS_MAX, HANDSHAKE_MS_MAX, STOP_GRACE_MS } from './limits.ts';
import { createMemberships } from './memberships.ts';
import { createRegistryMetrics } from './metrics.ts';
import { registryOperatorService } from './operator-service.ts';
import { registryHandlers } from './registry-service.ts';
import type { RegistryStore } from './store.ts';
import { TableMirror } from './table-mirror.ts';

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
  now: () => number = Date.now,
): Promise<Registry> {
  const { clusterSet } = config;
  await ensurePrivateDir(stateDir);
  const credentials = await loadRegistryCredentials(join(stateDir, 'identity'), config);
  const metrics = createRegistryMetrics();
  const store = await openStore(config, stateDir, log);
  const mirror = new TableMirror({ store, log, metrics });
  const table = { store, mirror };
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
    roots: credentials.roots,
    signer: memberships.statementSigner,
    log,
    now,
  });
  const { bundles } = revocations;
  const proofs = envelopeProofs(bundles, now);
  const handlers = registryHandlers({ ...table, clusterSet, proofs, metrics });
  const refusedPeers = new RefusedPeers(now);
  const listener = new RpcListener({
    name: 'registry',
    identity: memberships.identity,
    clients: { bundles, authorize: anyMember(clusterSet) },
    services: [rpcService(RegistryDefinition, handlers), memberships.renewals],
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
  admin.debug('records', () => recordsOf(mirror));
  admin.debug('refusals', () => refusedPeers.list());
  admin.debug('intents', () => listIntents(mirror));
  admin.debug('store', () => ({
    kind: store.kind,
    storeId: mirror.storeId,
    revision: String(mirror.revision),
    outage: mirror.outage,
  }));

  const operator = operatorSocket(
    stateDir,
    [registryOperatorService(table, log), memberships.operator, revocations.service()],
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
      { name: 'admin', run: signal => admin.run(signal) },
      operator,
    ],
  };
}

async function loadRegistryCredentials(
  dir: string,
  { clusterSet }: RegistryConfig,
): Promise<ClusterSetCredentials> {
  const credentials = await loadMemberCredentials(dir);
  const { id } = credentials.svid;
  if (id === registryId(clusterSet)) return credentials;
  throw new MeshError(
    'CERTIFICATE_INVALID',
    `"${dir}" holds the identity "${id}", the configuration asks for "${registryId(clusterSet)}"; copy the registry's credentials of this ClusterSet there`,
  );
}

function openStore(
  { store }: RegistryConfig,
  stateDir: string,
  log: Logger,
): Promise<RegistryStore> | RegistryStore {
  switch (store.kind) {
    case 'embedded':
      return openEmbeddedStore({ dir: join(stateDir, 'store'), log });
    case 'etcd':
      return new EtcdStore(store.endpoints);
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

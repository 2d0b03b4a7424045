/**
 * What makes a registry process admit clusters, assembled: issuer → tokens → services → join port, and the
 * process's own certificate, which the issuer keeps fresh.
 */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { SocketAddress } from '../../mesh/address.ts';
import { MeshError } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import type { RpcService } from '../../runtime/rpc-server.ts';
import type { Task } from '../../runtime/supervise.ts';
import {
  ISSUER_FILE,
  type MembershipIssuer,
  openMembershipIssuer,
} from '../../trust-federation/authority/membership-issuer.ts';
import type { StatementSigner } from '../../trust-federation/bundles/statement-signature.ts';
import type { CredentialsFolder } from '../../trust-federation/identity/credentials-folder.ts';
import { IdentityKeeper } from '../../trust-federation/identity/identity-keeper.ts';
import { type SvidSource, saveSvid } from '../../trust-federation/identity/svid.ts';
import { RpcListener } from '../../trust-federation/peers/rpc-listener.ts';
import { parseCsr } from '../../trust-federation/x509/csr.ts';
import type { RegistryConfig } from '../config.ts';
import { HANDSHAKE_MS_MAX, JOIN_CONNECTIONS_MAX, STOP_GRACE_MS } from '../limits.ts';
import type { RegistryMetrics } from '../metrics.ts';
import type { IntentTable } from '../operators/intents.ts';
import { JoinTokens } from './join-tokens.ts';
import { membershipOperatorService } from './membership-operator.ts';
import { MembershipService } from './membership-service.ts';

export interface MembershipsOptions {
  readonly config: RegistryConfig;
  readonly stateDir: string;
  readonly credentials: CredentialsFolder;
  readonly table: IntentTable;
  readonly metrics: RegistryMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

export interface Memberships {
  /** The registry's own. */
  readonly identity: SvidSource;
  readonly renewals: RpcService;
  readonly operator: RpcService;
  /** Undefined where this process has no issuer. */
  readonly statementSigner: StatementSigner | undefined;
  /** As bound; undefined when no cluster can join through this process. */
  readonly joinAddress: SocketAddress | undefined;
  readonly tasks: readonly Task[];
}

/** Binds the join port. Throws FILE_ codes, CERTIFICATE_INVALID, ADDRESS_ codes. */
export async function createMemberships(options: MembershipsOptions): Promise<Memberships> {
  const { config, stateDir, credentials, table, metrics, log, now } = options;
  const { clusterSet } = config;
  const authorityDir = join(stateDir, 'authority');
  const issuer = await openMembershipIssuer(authorityDir, credentials.bundle(), now);
  const identity = identityOf(options, issuer);
  const [root] = credentials.bundle().x509Authorities;
  const tokens = new JoinTokens({
    store: table.store,
    journal: table.journal,
    clusterSet,
    rootSha256: createHash('sha256')
      .update(root ?? '')
      .digest(),
    addresses: config.join?.addresses ?? (config.join === undefined ? [] : [config.join.listen]),
    now,
  });
  const service = new MembershipService({
    issuer,
    tokens,
    mirror: table.mirror,
    clusterSet,
    metrics,
    log,
    now,
  });
  const built = {
    identity: identity.source,
    renewals: service.renewalService(),
    statementSigner: issuer?.statementSigner,
    operator: membershipOperatorService({
      table,
      tokens,
      joinProblem:
        config.join === undefined
          ? 'clusters cannot join through this registry: its configuration has no "join"; configure it, or use "isthmus init --cluster" offline'
          : undefined,
      log,
      now,
    }),
  };
  if (config.join === undefined) return { ...built, joinAddress: undefined, tasks: identity.tasks };
  if (issuer === undefined) {
    throw new MeshError(
      'FILE_UNREADABLE',
      `"${join(authorityDir, ISSUER_FILE)}" does not exist, which "join" in the configuration needs; copy the folder "authority" that "isthmus init" made for the registry, or remove "join"`,
    );
  }
  const listener = new RpcListener({
    name: 'join',
    identity: withRoot(identity.source, credentials),
    clients: 'anyone',
    services: [service.joinService()],
    limits: {
      connectionsMax: JOIN_CONNECTIONS_MAX,
      handshakeMsMax: HANDSHAKE_MS_MAX,
      stopGraceMs: STOP_GRACE_MS,
    },
    onRefused: ({ reason }) => metrics.refusedPeers.inc({ reason }),
    log,
    now,
  });
  const joinAddress = await listener.listen(config.join.listen);
  return { ...built, joinAddress, tasks: [...identity.tasks, listener] };
}

/** Renewed by the issuer where there is one; else by whoever replaces the files that `isthmus init` made. */
function identityOf(
  { stateDir, credentials, log, now }: MembershipsOptions,
  issuer: MembershipIssuer | undefined,
): { readonly source: SvidSource; readonly tasks: readonly Task[] } {
  if (issuer === undefined) return { source: credentials, tasks: [credentials] };
  const keeper = new IdentityKeeper({
    initial: credentials.current(),
    obtain: async csr => ({ chain: issuer.issueRegistry(parseCsr(csr).publicKey) }),
    save: renewed => saveSvid(join(stateDir, 'identity'), renewed),
    log,
    now,
  });
  return { source: keeper, tasks: [keeper] };
}

/** A new cluster knows only the root's hash: it is shown the root to recognise it. */
function withRoot(identity: SvidSource, credentials: CredentialsFolder): SvidSource {
  const root = credentials
    .bundle()
    .x509Authorities.slice(0, 1)
    .map(der => Buffer.from(der));
  return {
    current: () => {
      const svid = identity.current();
      return { ...svid, chain: [...svid.chain, ...root] };
    },
    observe: observer => identity.observe(observer),
  };
}

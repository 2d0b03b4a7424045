/**
 * Who this cluster is: its authority and what that has issued, its place in the ClusterSet, the bundle it
 * publishes, and the agent's own certificate. All of it rests in the state directory.
 */

import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { agentId } from '../../mesh/system-identities.ts';
import { LastKnownGood } from '../../runtime/last-known-good.ts';
import type { Logger } from '../../runtime/log.ts';
import type { Task } from '../../runtime/supervise.ts';
import type { ClusterAuthority } from '../../trust-federation/authority/cluster-authority.ts';
import {
  type JwtAuthority,
  openJwtAuthority,
} from '../../trust-federation/authority/jwt-authority.ts';
import { openClusterAuthority } from '../../trust-federation/authority/open-authority.ts';
import { SvidLedger } from '../../trust-federation/authority/svid-ledger.ts';
import { OwnBundle } from '../../trust-federation/bundles/own-bundle.ts';
import { TrustRootFile } from '../../trust-federation/bundles/trust-root-file.ts';
import { IdentityKeeper } from '../../trust-federation/identity/identity-keeper.ts';
import { generateSvidKey, parseSvid } from '../../trust-federation/identity/svid.ts';
import { WORKLOAD_TTL_MS_MAX } from '../../trust-federation/limits.ts';
import { parseCsr } from '../../trust-federation/x509/csr.ts';
import type { AgentConfig } from '../config.ts';
import { LEDGER_ENTRIES_MAX, LEDGER_SAVE_DELAY_MS } from '../limits.ts';
import { type Membership, openMembership } from '../registry/membership.ts';

export interface OwnTrustOptions {
  readonly config: AgentConfig;
  readonly stateDir: string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface OwnTrust {
  readonly authority: ClusterAuthority;
  readonly jwt: JwtAuthority;
  readonly membership: Membership;
  readonly bundle: OwnBundle;
  /** The agent's own. */
  readonly identity: IdentityKeeper;
  readonly ledger: SvidLedger;
  readonly ledgerFile: LastKnownGood;
  readonly tasks: readonly Task[];
}

/** Throws FILE_ codes and CERTIFICATE_INVALID. */
export async function openOwnTrust(options: OwnTrustOptions): Promise<OwnTrust> {
  const { config, stateDir, log, now } = options;
  const { cluster, clusterSet, trustDomain } = config;
  const dir = join(stateDir, 'authority');
  const authority = await openClusterAuthority({
    dir,
    cluster,
    trustDomain,
    isRevoked: id => bundle.isRevoked(id),
    now,
  });
  const jwt = await openJwtAuthority({ dir, log, now });
  const membership = await openMembership(options);
  const bundle: OwnBundle = await OwnBundle.open({
    stateDir,
    clusterSet,
    cluster,
    content: () => ({ ...authority.bundle(), jwtAuthorities: jwt.published() }),
    rootSigners: () => authority.statementSigners(),
    member: () => membership.identity.current(),
    log,
    now,
  });
  // A new JWT key is published; with a new membership all of it is signed anew.
  for (const part of [jwt, membership.identity]) {
    part.observe(() => {
      bundle.update().catch((error: unknown) => log.error({ error }, 'trust bundle not made'));
    });
  }
  const rootFile = new TrustRootFile({ stateDir, trustDomain, bundles: bundle.bundles, log });
  // For the operator to hand to proxies, beside their join tokens.
  await rootFile.write();
  const identity = identityFrom(authority, config.svidTtl, log, now);
  const { ledger, ledgerFile } = await openLedger(join(dir, 'issued'), authority, log, now);
  return {
    authority,
    jwt,
    membership,
    bundle,
    identity,
    ledger,
    ledgerFile,
    tasks: [authority, identity, membership.identity, jwt, ledgerFile, rootFile],
  };
}

/** The agent's own certificate comes from its own authority, for this process only. */
function identityFrom(
  authority: ClusterAuthority,
  ttlMs: number,
  log: Logger,
  now: () => number,
): IdentityKeeper {
  const id = agentId(authority.trustDomain);
  const key = generateSvidKey();
  const { chain } = authority.issue({ publicKey: createPublicKey(key), id, ttlMs });
  return new IdentityKeeper({
    initial: parseSvid(chain, key),
    obtain: async csr => authority.issue({ publicKey: parseCsr(csr).publicKey, id, ttlMs }),
    save: () => Promise.resolve(),
    log,
    now,
  });
}

/** The list of what the authority has issued; without it, what an earlier process issued is unknown. */
async function openLedger(
  path: string,
  authority: ClusterAuthority,
  log: Logger,
  now: () => number,
): Promise<Pick<OwnTrust, 'ledger' | 'ledgerFile'>> {
  const ledgerFile = new LastKnownGood({
    path,
    serialise: () => ledger.serialise(),
    delayMs: LEDGER_SAVE_DELAY_MS,
    log,
  });
  const ledger = new SvidLedger({
    entriesMax: LEDGER_ENTRIES_MAX,
    now,
    onChange: () => ledgerFile.touch(),
  });
  const loaded = await ledgerFile.load(content => {
    ledger.restore(content);
    return true;
  });
  const first = authority.state.issuers.length === 1;
  if (loaded === undefined && !first) ledger.lost(WORKLOAD_TTL_MS_MAX);
  ledgerFile.touch();
  return { ledger, ledgerFile };
}

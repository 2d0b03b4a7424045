/**
 * Who is a member: the cluster in the caller's certificate, unless it has left since that was made.
 *
 * Leaving is an intent (`departure/<cluster>`), so every registry process and every agent learns of it
 * with the table. A certificate that was valid when the cluster left is over; one from a later token
 * begins after it.
 */

import { MeshError } from '../../mesh/errors.ts';
import { type Departure, endsMembership, intentKey } from '../../mesh/intent.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { memberClusterOf, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { CallContext } from '../../runtime/rpc-server.ts';
import { leafIdentity } from '../../trust-federation/peers/chain-rules.ts';
import { parseCertificate } from '../../trust-federation/x509/parsed-certificate.ts';
import { clusterPrefixes, domainKey, formatIntentKey, rivalKey } from '../keys.ts';
import { PUBLISH_RECORDS_MAX } from '../limits.ts';
import { type IntentTable, putIntent } from '../operators/intents.ts';
import type { Expectation } from '../store/store.ts';
import type { TableMirror } from '../table/table-mirror.ts';

export interface Member {
  readonly cluster: ClusterName;
  /** When its certificate begins. */
  readonly sinceMs: number;
}

/** The caller, on a connection that peer-listener.ts let in. Throws PEER_REFUSED, MEMBERSHIP_ENDED. */
export function memberOf(
  { peerCertificate }: Pick<CallContext, 'peerCertificate'>,
  clusterSet: TrustDomain,
  mirror: TableMirror,
): Member {
  const member = peerCertificate === undefined ? undefined : memberIn(peerCertificate);
  if (member?.clusterSet === clusterSet) {
    requireCurrent(member, mirror);
    return member;
  }
  throw new MeshError('PEER_REFUSED', 'the caller is not a member cluster of this ClusterSet');
}

interface NamedMember extends Member {
  readonly clusterSet: TrustDomain;
}

/** Read once: all calls of a connection come with the same certificate. */
const named = new WeakMap<Buffer, NamedMember>();

function memberIn(der: Buffer): NamedMember | undefined {
  const known = named.get(der);
  if (known !== undefined) return known;
  const certificate = parseCertificate(der);
  const identity = leafIdentity(certificate);
  const cluster = identity.kind === 'ok' ? memberClusterOf(identity.id) : undefined;
  if (identity.kind !== 'ok' || cluster === undefined) return undefined;
  const member = {
    cluster,
    clusterSet: identity.trustDomain,
    sinceMs: certificate.notBeforeMs,
  };
  named.set(der, member);
  return member;
}

/** Throws MEMBERSHIP_ENDED once the cluster has left. */
export function requireCurrent({ cluster, sinceMs }: Member, mirror: TableMirror): void {
  const departure = departureOf(cluster, mirror);
  if (departure === undefined || !endsMembership(departure, sinceMs)) return;
  const when = new Date(departure.atMs).toISOString();
  throw new MeshError(
    'MEMBERSHIP_ENDED',
    `cluster "${cluster}" left at ${when} (${departure.reason}); join again with a new token`,
  );
}

export function departureOf(cluster: ClusterName, mirror: TableMirror): Departure | undefined {
  const row = mirror.rows.get(departureKey(cluster));
  return row?.kind === 'intent' && row.intent.kind === 'departure' ? row.intent : undefined;
}

/** That the cluster has not left, or come back, since the caller's membership was judged. */
export function stillMember(cluster: ClusterName, mirror: TableMirror): Expectation {
  const key = departureKey(cluster);
  return { key, revision: mirror.rows.get(key)?.entry.revision ?? 0n };
}

/** Ends the membership first, so that nothing is published behind it; returns how many records went. */
export async function endMembership(table: IntentTable, departure: Departure): Promise<number> {
  await putIntent(table, departure);
  const { cluster } = departure;
  const config = table.mirror.table.configs.get(cluster);
  if (config !== undefined) {
    const domain = domainKey(config.trustDomain);
    await table.store.commit({ puts: [], deletes: [domain, rivalKey(cluster)] });
  }
  let removed = 0;
  // What says that the cluster is there goes first.
  for (const prefix of clusterPrefixes(departure.cluster)) {
    const { entries } = await table.store.snapshot(prefix);
    for (let at = 0; at < entries.length; at += PUBLISH_RECORDS_MAX) {
      const deletes = entries.slice(at, at + PUBLISH_RECORDS_MAX).map(({ key }) => key);
      await table.store.commit({ puts: [], deletes });
      removed += deletes.length;
    }
  }
  return removed;
}

function departureKey(cluster: ClusterName): string {
  return formatIntentKey(intentKey({ kind: 'departure', cluster }));
}

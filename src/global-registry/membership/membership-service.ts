/**
 * Memberships for clusters: the first for a join token, each next one for the current one.
 *
 * The name in the request must equal the identity that was attested (by the token, or by the certificate
 * of the connection); nothing else of it but its key goes into what the issuer signs. A registry process
 * without the ClusterSet's issuer sends its callers on to another.
 */

import { createHash, type KeyObject } from 'node:crypto';
import { isMeshError, MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { memberId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { Logger } from '../../runtime/log.ts';
import { RateLimit, RateLimitByCaller } from '../../runtime/rate-limit.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import { sleep } from '../../runtime/supervise.ts';
import type { MembershipIssuer } from '../../trust-federation/authority/membership-issuer.ts';
import { type CsrRequest, parseCsr } from '../../trust-federation/x509/csr.ts';
import {
  ClusterJoinDefinition,
  ClusterMembershipDefinition,
  type MembershipResponse,
} from '../../wire/generated/isthmus/registry/v1/join.ts';
import {
  REDEEM_BURST_MAX,
  REDEEM_PER_ADDRESS,
  REDEEM_PER_SECOND_MAX,
  RENEW_PER_MEMBER,
} from '../limits.ts';
import type { RegistryMetrics } from '../metrics.ts';
import type { TableMirror } from '../table/table-mirror.ts';
import type { JoinTokens } from './join-tokens.ts';
import { departureOf, memberOf } from './membership.ts';

export interface MembershipServiceOptions {
  readonly issuer: MembershipIssuer | undefined;
  readonly tokens: JoinTokens;
  readonly mirror: TableMirror;
  readonly clusterSet: TrustDomain;
  readonly metrics: RegistryMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

interface Caller {
  readonly method: 'redeem' | 'renew';
  /** Who, as far as it is known: an address, or the member cluster. */
  readonly who: string;
}

export class MembershipService {
  readonly #options: MembershipServiceOptions;
  readonly #redemptions: RateLimit;
  readonly #redemptionsByAddress: RateLimitByCaller;
  readonly #renewals: RateLimitByCaller;

  constructor(options: MembershipServiceOptions) {
    const { now } = options;
    this.#options = options;
    this.#redemptions = new RateLimit(REDEEM_PER_SECOND_MAX, REDEEM_BURST_MAX, now);
    this.#redemptionsByAddress = new RateLimitByCaller(REDEEM_PER_ADDRESS, now);
    this.#renewals = new RateLimitByCaller(RENEW_PER_MEMBER, now);
  }

  /** For the join port. */
  joinService(): RpcService {
    return rpcService(ClusterJoinDefinition, {
      redeem: ({ secret, csr }, { remoteAddress }) => {
        const who = hostOf(remoteAddress);
        return this.#counted({ method: 'redeem', who }, () => this.#redeem(secret, csr, who));
      },
    });
  }

  /** For the registry's port. */
  renewalService(): RpcService {
    return rpcService(ClusterMembershipDefinition, {
      renew: ({ csr }, context) => {
        const { mirror, clusterSet } = this.#options;
        const { cluster } = memberOf(context, clusterSet, mirror);
        return this.#counted({ method: 'renew', who: cluster }, () => this.#renew(cluster, csr));
      },
    });
  }

  async #redeem(secret: Buffer, csr: Buffer, remoteAddress: string): Promise<MembershipResponse> {
    if (!this.#redemptionsByAddress.take(remoteAddress) || !this.#redemptions.take()) {
      throw tooMany();
    }
    const { tokens, mirror, log, now } = this.#options;
    const request = parseCsr(csr);
    const { cluster, hash } = await tokens.redeem({
      secret,
      keySha256: keyHashOf(request.publicKey),
      remoteAddress,
      accept: attested => this.#requireSameId(request, attested),
    });
    log.info({ cluster, token: hash.slice(0, 12), remoteAddress }, 'cluster joined');
    // One that comes right back: its new membership begins in the second after the old one ended.
    const endedMs = departureOf(cluster, mirror)?.atMs;
    if (endedMs !== undefined) await sleep(Math.min(endedMs + 1_000 - now(), 1_000));
    return this.#issue(cluster, request.publicKey);
  }

  async #renew(cluster: ClusterName, csr: Buffer): Promise<MembershipResponse> {
    if (!this.#renewals.take(cluster)) throw tooMany();
    const request = parseCsr(csr);
    this.#requireSameId(request, cluster);
    this.#options.log.info({ cluster }, 'membership renewed');
    return Promise.resolve(this.#issue(cluster, request.publicKey));
  }

  #requireSameId({ id }: CsrRequest, cluster: ClusterName): void {
    const attested = memberId(this.#options.clusterSet, cluster);
    if (id === attested) return;
    throw new MeshError('CSR_REFUSED', `asks for "${id}"; the caller is "${attested}"`);
  }

  #issue(cluster: ClusterName, publicKey: KeyObject): MembershipResponse {
    const { issuer, mirror } = this.#options;
    if (issuer === undefined) {
      throw new MeshError('PEER_UNAVAILABLE', 'this registry process issues no memberships');
    }
    const endedMs = departureOf(cluster, mirror)?.atMs;
    return { chain: [...issuer.issueMember(cluster, publicKey, endedMs)] };
  }

  async #counted(
    { method, who }: Caller,
    call: () => Promise<MembershipResponse>,
  ): Promise<MembershipResponse> {
    const { metrics, log } = this.#options;
    try {
      const response = await call();
      metrics.memberships.inc({ method, result: 'issued' });
      return response;
    } catch (error) {
      const result = isMeshError(error) ? error.code : 'unexpected';
      metrics.memberships.inc({ method, result });
      log.warn({ error, method, who }, 'membership refused');
      throw error;
    }
  }
}

function keyHashOf(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

/** Without the port, which is another for each connection. */
function hostOf(remoteAddress: string): string {
  return remoteAddress.replace(/:[0-9]+$/, '');
}

function tooMany(): MeshError {
  return new MeshError('LIMIT_EXCEEDED', 'too many membership requests at once; try again');
}

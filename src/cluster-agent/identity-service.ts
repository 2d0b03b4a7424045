/**
 * Certificates for proxies: the first for a join token, each next one for the current one.
 *
 * The request's name must equal the identity that was attested (by the token, or by the certificate of
 * the connection); nothing else of the request but its key goes into what the authority signs.
 */

import type { KeyObject } from 'node:crypto';
import { MeshError } from '../mesh/errors.ts';
import type { SpiffeId } from '../mesh/spiffe-id.ts';
import type { Logger } from '../runtime/log.ts';
import { RateLimit } from '../runtime/rate-limit.ts';
import { type RpcService, rpcService } from '../runtime/rpc-server.ts';
import { certificateId } from '../trust-federation/authority-journal.ts';
import type { ClusterAuthority } from '../trust-federation/cluster-authority.ts';
import { parseCsr } from '../trust-federation/csr.ts';
import type { SvidLedger } from '../trust-federation/svid-ledger.ts';
import {
  JoinDefinition,
  type SvidResponse,
  WorkloadIdentityDefinition,
} from '../wire/generated/isthmus/identity/v1/identity.ts';
import { redeemJoinToken } from './join-tokens.ts';
import {
  REDEEM_BURST_MAX,
  REDEEM_PER_SECOND_MAX,
  SIGN_BURST_MAX,
  SIGN_PER_SECOND_MAX,
} from './limits.ts';
import type { AgentMetrics } from './metrics.ts';
import { peerIdOf } from './peer.ts';

export interface IdentityServiceOptions {
  readonly authority: ClusterAuthority;
  readonly ledger: SvidLedger;
  readonly stateDir: string;
  readonly svidTtlMs: number;
  readonly metrics: AgentMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

export class IdentityService {
  readonly #options: IdentityServiceOptions;
  readonly #redemptions: RateLimit;
  readonly #signatures: RateLimit;

  constructor(options: IdentityServiceOptions) {
    this.#options = options;
    this.#redemptions = new RateLimit(REDEEM_PER_SECOND_MAX, REDEEM_BURST_MAX, options.now);
    this.#signatures = new RateLimit(SIGN_PER_SECOND_MAX, SIGN_BURST_MAX, options.now);
  }

  /** For the join port. */
  joinService(): RpcService {
    return rpcService(JoinDefinition, {
      redeem: async ({ joinToken, csr }) => this.#counted('redeem', this.#redeem(joinToken, csr)),
    });
  }

  /** For the control port. */
  renewalService(): RpcService {
    return rpcService(WorkloadIdentityDefinition, {
      renew: async ({ csr }, { peerCertificate }) =>
        this.#counted('renew', this.#renew(peerCertificate, csr)),
    });
  }

  async #redeem(token: string, csr: Buffer): Promise<SvidResponse> {
    if (!this.#redemptions.take()) throw tooMany();
    const { stateDir, now, log } = this.#options;
    const request = parseCsr(csr);
    const id = await redeemJoinToken(stateDir, token, now(), attested =>
      requireSameId(request.id, attested),
    );
    log.info({ id }, 'join token redeemed');
    return this.#sign(request.publicKey, id, undefined);
  }

  async #renew(certificate: Buffer | undefined, csr: Buffer): Promise<SvidResponse> {
    const peer = peerIdOf(certificate);
    const request = parseCsr(csr);
    requireSameId(request.id, peer);
    return this.#sign(request.publicKey, peer, certificate);
  }

  #sign(publicKey: KeyObject, id: SpiffeId, renews: Buffer | undefined): SvidResponse {
    if (!this.#signatures.take()) throw tooMany();
    const { authority, ledger, svidTtlMs, now } = this.#options;
    const { chain, root } = authority.issue({ publicKey, id, ttlMs: svidTtlMs });
    const sha256 = certificateId(chain[0]);
    const notAfterMs = now() + svidTtlMs;
    ledger.issued(
      { sha256, id, root, notAfterMs },
      renews === undefined ? undefined : certificateId(renews),
    );
    return { chain: [...chain] };
  }

  async #counted(method: 'redeem' | 'renew', call: Promise<SvidResponse>): Promise<SvidResponse> {
    const { metrics, log } = this.#options;
    try {
      const response = await call;
      metrics.certificates.inc({ method, result: 'issued' });
      return response;
    } catch (error) {
      metrics.certificates.inc({ method, result: 'refused' });
      log.warn({ error, method }, 'certificate refused');
      throw error;
    }
  }
}

function requireSameId(asked: SpiffeId, attested: SpiffeId): void {
  if (asked === attested) return;
  throw new MeshError('CSR_REFUSED', `asks for "${asked}"; the caller is "${attested}"`);
}

function tooMany(): MeshError {
  return new MeshError('LIMIT_EXCEEDED', 'too many certificate requests at once; try again');
}

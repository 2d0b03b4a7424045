/**
 * Identities for proxies: the first certificate for a credential, each next one for the current one, and
 * JWT-SVIDs.
 *
 * The request's name must equal the identity that was attested (by the credential, or by the certificate
 * of the connection); nothing else of the request but its key goes into what the authority signs. Each
 * refusal is an audit event.
 */

import { createHash } from 'node:crypto';
import { isMeshError, MeshError, messageOf } from '../../mesh/errors.ts';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import type { Logger } from '../../runtime/log.ts';
import { RateLimit, RateLimitByCaller } from '../../runtime/rate-limit.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import { certificateId } from '../../trust-federation/authority/authority-journal.ts';
import type { ClusterAuthority } from '../../trust-federation/authority/cluster-authority.ts';
import type { JwtAuthority } from '../../trust-federation/authority/jwt-authority.ts';
import type { SvidLedger } from '../../trust-federation/authority/svid-ledger.ts';
import { type CsrRequest, parseCsr } from '../../trust-federation/x509/csr.ts';
import {
  type IssueJwtSvidResponse,
  JoinDefinition,
  type RedeemRequest,
  type SvidResponse,
  WorkloadIdentityDefinition,
} from '../../wire/generated/isthmus/identity/v1/identity.ts';
import type { Attestor } from '../attestation/attestor.ts';
import {
  JWT_AUDIENCE_CHARS_MAX,
  JWT_AUDIENCES_MAX,
  REDEEM_BURST_MAX,
  REDEEM_PER_ADDRESS,
  REDEEM_PER_SECOND_MAX,
  SIGN_PER_IDENTITY,
} from '../limits.ts';
import type { AgentMetrics } from '../metrics.ts';
import { peerIdOf } from '../peer.ts';
import type { IssuanceAudit, RefusedIssuance } from './issuance-audit.ts';

export interface IdentityServiceOptions {
  readonly authority: Pick<ClusterAuthority, 'issue'>;
  readonly ledger: SvidLedger;
  /** Resolves once a certificate in the ledger may be handed out. */
  readonly recorded: () => Promise<void>;
  readonly jwt: Pick<JwtAuthority, 'issue'>;
  readonly joinTokens: Attestor;
  /** Undefined where no API server is configured. */
  readonly kubernetes: Attestor | undefined;
  readonly isRevoked: (id: SpiffeId) => boolean;
  readonly svidTtlMs: number;
  readonly metrics: AgentMetrics;
  readonly audit: IssuanceAudit;
  readonly log: Logger;
  readonly now: () => number;
}

/** Of what was asked for, in the audit. */
const ASKED_CHARS_MAX = 300;

type Asker = Pick<RefusedIssuance, 'method' | 'who'>;

export class IdentityService {
  readonly #options: IdentityServiceOptions;
  readonly #redemptions: RateLimit;
  readonly #redemptionsByAddress: RateLimitByCaller;
  readonly #signatures: RateLimitByCaller;

  constructor(options: IdentityServiceOptions) {
    const { now } = options;
    this.#options = options;
    this.#redemptions = new RateLimit(REDEEM_PER_SECOND_MAX, REDEEM_BURST_MAX, now);
    this.#redemptionsByAddress = new RateLimitByCaller(REDEEM_PER_ADDRESS, now);
    this.#signatures = new RateLimitByCaller(SIGN_PER_IDENTITY, now);
  }

  /** For the join port. */
  joinService(): RpcService {
    return rpcService(JoinDefinition, {
      redeem: (request, { remoteAddress }) => {
        // Without the port, which is another for each connection.
        const who = remoteAddress.replace(/:[0-9]+$/, '');
        return this.#audited(
          { method: 'redeem', who },
          () => askedIn(request.csr),
          () => this.#redeem(request, who),
        );
      },
    });
  }

  /** For the control port. */
  renewalService(): RpcService {
    return rpcService(WorkloadIdentityDefinition, {
      renew: ({ csr }, { peerCertificate }) => {
        const peer = peerIdOf(peerCertificate);
        return this.#audited(
          { method: 'renew', who: peer },
          () => askedIn(csr),
          () => this.#renew(peer, csr, peerCertificate),
        );
      },
      issueJwtSvid: ({ audience }, { peerCertificate }) => {
        const peer = peerIdOf(peerCertificate);
        return this.#audited(
          { method: 'jwt-svid', who: peer },
          () => audience.join(' '),
          () => this.#issueJwt(peer, audience),
        );
      },
    });
  }

  async #redeem({ credential, csr }: RedeemRequest, address: string): Promise<SvidResponse> {
    if (!this.#redemptionsByAddress.take(address) || !this.#redemptions.take()) throw tooMany();
    const request = parseCsr(csr);
    const keySha256 = createHash('sha256').update(request.spki).digest('hex');
    const token = credential?.value ?? '';
    const id = await this.#attestorFor(credential).attest({ token, keySha256 }, attested => {
      requireSameId(request.id, attested);
      this.#requireMaySign(attested);
    });
    this.#options.log.info({ id, by: credential?.$case }, 'proxy attested');
    return this.#sign(request, id);
  }

  #attestorFor(credential: RedeemRequest['credential']): Attestor {
    const { joinTokens, kubernetes } = this.#options;
    if (credential?.$case !== 'kubernetesToken') return joinTokens;
    if (kubernetes !== undefined) return kubernetes;
    throw new MeshError(
      'REQUEST_INVALID',
      'this agent reviews no Kubernetes tokens; configure "kubernetes", or use a join token',
    );
  }

  async #renew(
    peer: SpiffeId,
    csr: Buffer,
    certificate: Buffer | undefined,
  ): Promise<SvidResponse> {
    this.#requireMaySign(peer);
    const request = parseCsr(csr);
    requireSameId(request.id, peer);
    return this.#sign(request, peer, certificate);
  }

  async #issueJwt(peer: SpiffeId, audience: readonly string[]): Promise<IssueJwtSvidResponse> {
    if (audience.length === 0 || audience.length > JWT_AUDIENCES_MAX) {
      throw new MeshError(
        'REQUEST_INVALID',
        `a JWT-SVID is for 1 to ${JWT_AUDIENCES_MAX} audiences, not ${audience.length}`,
      );
    }
    if (audience.some(each => each === '' || each.length > JWT_AUDIENCE_CHARS_MAX)) {
      throw new MeshError(
        'REQUEST_INVALID',
        `an audience has 1 to ${JWT_AUDIENCE_CHARS_MAX} characters`,
      );
    }
    this.#requireMaySign(peer);
    const { token, expiresMs } = this.#options.jwt.issue(peer, audience);
    return Promise.resolve({ token, expiresMs: BigInt(expiresMs) });
  }

  #requireMaySign(id: SpiffeId): void {
    if (this.#options.isRevoked(id)) throw new MeshError('CSR_REFUSED', `"${id}" is revoked`);
    if (!this.#signatures.take(id)) throw tooMany();
  }

  /** `renews`: the certificate whose place it takes. */
  async #sign(
    { publicKey, spki }: CsrRequest,
    id: SpiffeId,
    renews?: Buffer,
  ): Promise<SvidResponse> {
    const { authority, ledger, recorded, svidTtlMs, now } = this.#options;
    const { chain, root } = authority.issue({ publicKey, spki, id, ttlMs: svidTtlMs });
    const notAfterMs = now() + svidTtlMs;
    ledger.issued(
      { sha256: certificateId(chain[0]), id, root, notAfterMs },
      renews === undefined ? undefined : certificateId(renews),
    );
    await recorded();
    return { chain: [...chain] };
  }

  async #audited<T>(
    { method, who }: Asker,
    asked: () => string,
    call: () => Promise<T>,
  ): Promise<T> {
    const { metrics, audit } = this.#options;
    try {
      const response = await call();
      metrics.certificates.inc({ method, result: 'issued' });
      return response;
    } catch (error) {
      metrics.certificates.inc({ method, result: 'refused' });
      const code = isMeshError(error) ? error.code : 'unexpected';
      const what = asked().slice(0, ASKED_CHARS_MAX);
      audit.refused({ method, who, asked: what, code, why: messageOf(error) });
      throw error;
    }
  }
}

/** For the audit, whatever becomes of the request. */
function askedIn(csr: Buffer): string {
  try {
    return parseCsr(csr).id;
  } catch {
    return 'a request that cannot be read';
  }
}

function requireSameId(asked: SpiffeId, attested: SpiffeId): void {
  if (asked === attested) return;
  throw new MeshError('CSR_REFUSED', `asks for "${asked}"; the caller is "${attested}"`);
}

function tooMany(): MeshError {
  return new MeshError('LIMIT_EXCEEDED', 'too many certificate requests at once; try again');
}

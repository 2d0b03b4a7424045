/**
 * Kubernetes service account tokens, judged by the cluster's API server (TokenReview,
 * authentication.k8s.io/v1).
 *
 * The identity is made from what the API server says of the token, never from the token's own text. A
 * token for another audience is refused, also when the API server does not understand audiences: one
 * stolen from another service must be no identity here.
 */

import { readFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import { parseNamespace, parseServiceAccount } from '../../mesh/names.ts';
import { type SpiffeId, type TrustDomain, workloadId } from '../../mesh/spiffe-id.ts';
import {
  SERVICE_ACCOUNT_TOKEN_BYTES_MAX,
  TOKEN_REVIEW_BYTES_MAX,
  TOKEN_REVIEW_MS_MAX,
} from '../limits.ts';
import type { Attestor, Credential } from './attestor.ts';

export interface TokenReviewOptions {
  /** `https://host:port` of the API server. */
  readonly server: string;
  /** PEM file; the API server's CA. */
  readonly ca: string;
  /** The agent's own token, read for each review because Kubernetes replaces it. */
  readonly token: string;
  readonly audience: string;
  readonly trustDomain: TrustDomain;
}

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';

export class TokenReviewAttestor implements Attestor {
  readonly #options: TokenReviewOptions;

  constructor(options: TokenReviewOptions) {
    this.#options = options;
  }

  async attest({ token }: Credential, accept: (id: SpiffeId) => void): Promise<SpiffeId> {
    if (token.length > SERVICE_ACCOUNT_TOKEN_BYTES_MAX) throw unknown('it is too long');
    const id = this.#identityIn(await this.#review(token));
    accept(id);
    return id;
  }

  #identityIn(answer: unknown): SpiffeId {
    const { audience, trustDomain } = this.#options;
    const status = fieldOf(answer, 'status');
    if (fieldOf(status, 'authenticated') !== true) {
      const error = fieldOf(status, 'error');
      throw unknown(typeof error === 'string' ? error : 'the API server does not know it');
    }
    const audiences = fieldOf(status, 'audiences');
    if (!Array.isArray(audiences) || !audiences.includes(audience)) {
      throw unknown(`it is not for the audience "${audience}"`);
    }
    const username = String(fieldOf(fieldOf(status, 'user'), 'username'));
    const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username);
    if (match === null) throw unknown(`"${username.slice(0, 100)}" is no service account`);
    const [, namespace = '', serviceAccount = ''] = match;
    return workloadId(trustDomain, parseNamespace(namespace), parseServiceAccount(serviceAccount));
  }

  async #review(token: string): Promise<unknown> {
    const { server, ca, token: ownTokenFile, audience } = this.#options;
    const body = JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    });
    try {
      const ownToken = (await readFile(ownTokenFile, 'utf8')).trim();
      const answer = await post(new URL(PATH, server), body, {
        ca: await readFile(ca),
        headers: { authorization: `Bearer ${ownToken}`, 'content-type': 'application/json' },
      });
      return JSON.parse(answer) as unknown;
    } catch (cause) {
      throw new MeshError('PEER_UNAVAILABLE', `API server "${server}": ${messageOf(cause)}`, {
        cause,
      });
    }
  }
}

/** Follows no redirect: whoever answers must be the one whose CA is configured. */
function post(url: URL, body: string, options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TOKEN_REVIEW_MS_MAX);
    const call = request(url, { ...options, method: 'POST', agent: false, signal }, response => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > TOKEN_REVIEW_BYTES_MAX) call.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode = 0 } = response;
        if (statusCode === 200 || statusCode === 201) resolve(Buffer.concat(chunks).toString());
        else reject(new Error(`it answers with status ${statusCode}`));
      });
    });
    call.once('error', reject);
    call.end(body);
  });
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function unknown(why: string): MeshError {
  return new MeshError('TOKEN_UNKNOWN', `service account token refused: ${why}`);
}

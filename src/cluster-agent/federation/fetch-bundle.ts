/**
 * One look at a foreign bundle endpoint (SPIFFE Federation §5.1, §5.2).
 *
 * https and nothing else, one request on a connection of its own, no redirect followed whatever its kind
 * (§7.5), and an end to everything: time, bytes, headers. The server is who it must be before the request is
 * sent: by the web's roots and its host name, or by its SPIFFE ID under the bundle in hand.
 */

import { type RequestOptions, request } from 'node:https';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { exactly } from '../../trust-federation/peers/authorizer.ts';
import { meshClientTls } from '../../trust-federation/peers/tls.ts';
import { BUNDLE_BYTES_MAX } from '../../wire/bundle-document.ts';
import { BUNDLE_FETCH_MS_MAX } from '../limits.ts';

/** How the server proves who it is. */
export type EndpointProof =
  | { readonly profile: 'https_web'; readonly roots: string | undefined }
  | { readonly profile: 'https_spiffe'; readonly id: SpiffeId; readonly bundle: TrustBundle };

/** The document as it came. Throws PEER_UNAVAILABLE, PEER_REFUSED, PROTOCOL_VIOLATION, LIMIT_EXCEEDED. */
export function fetchBundle(
  url: string,
  proof: EndpointProof,
  now: () => number,
  signal: AbortSignal,
): Promise<Buffer> {
  const deadline = AbortSignal.timeout(BUNDLE_FETCH_MS_MAX);
  const options: RequestOptions = {
    ...tlsOf(proof, now),
    agent: false,
    method: 'GET',
    headers: { accept: 'application/json' },
    maxHeaderSize: 8_192,
    signal: AbortSignal.any([signal, deadline]),
  };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(error instanceof MeshError ? error : unavailable(url, reasonOf(error, deadline)));
    };
    const call = request(url, options, response => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) {
        const location = JSON.stringify((response.headers.location ?? '').slice(0, 200));
        const what =
          statusCode >= 300 && statusCode < 400
            ? `redirects to ${location}, which is not followed; configure the address itself`
            : `answers with status ${statusCode}`;
        call.destroy(new MeshError('PROTOCOL_VIOLATION', `"${url}" ${what}`));
        return;
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= BUNDLE_BYTES_MAX) chunks.push(chunk);
        else call.destroy(tooLong(url));
      });
      response.once('error', fail);
      response.once('end', () => {
        if (response.complete) resolve(Buffer.concat(chunks));
        else fail(new Error('the answer broke off'));
      });
    });
    call.once('error', fail);
    call.end();
  });
}

function tlsOf(proof: EndpointProof, now: () => number): RequestOptions {
  if (proof.profile === 'https_spiffe') {
    return meshClientTls(undefined, proof.bundle, exactly(proof.id), now);
  }
  return { minVersion: 'TLSv1.2', ...(proof.roots === undefined ? {} : { ca: proof.roots }) };
}

function reasonOf(error: unknown, deadline: AbortSignal): string {
  return deadline.aborted ? `no answer within ${BUNDLE_FETCH_MS_MAX} ms` : messageOf(error);
}

function unavailable(url: string, reason: string): MeshError {
  return new MeshError('PEER_UNAVAILABLE', `"${url}": ${reason}`);
}

function tooLong(url: string): MeshError {
  return new MeshError(
    'LIMIT_EXCEEDED',
    `"${url}" sends more than ${BUNDLE_BYTES_MAX} bytes, which is no bundle`,
  );
}

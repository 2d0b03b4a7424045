/**
 * `isthmus call FROM URL`: one HTTP request as workload FROM would send it, through its sidecar, with
 * the sidecar's account of the way it took.
 */

import { request } from 'node:http';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError, messageOf } from '../mesh/errors.ts';

/** How the outbound sidecar reached the service, from its `x-isthmus-upstream` header. */
export type UpstreamAccount = Readonly<Record<string, string>>;

export interface CallResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly upstream: UpstreamAccount | undefined;
  readonly durationMs: number;
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Shown, not stored: a larger answer is cut. */
const BODY_BYTES_MAX = 1024 * 1024;

/** Rejects with PEER_UNAVAILABLE when the sidecar does not answer; an HTTP error status is a result. */
export function callThrough(
  outbound: SocketAddress,
  url: string,
  options: CallOptions = {},
): Promise<CallResult> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(
        new MeshError(
          'PEER_UNAVAILABLE',
          `no answer from the sidecar at "${formatAddress(outbound)}": ${messageOf(error)}; "isthmus status" shows whether it runs`,
          { cause: error },
        ),
      );
    const outgoing = request(
      {
        host: outbound.host,
        port: outbound.port,
        // Absolute form (RFC 9112 §3.2.2): the URL names the service, the connection the sidecar.
        path: url,
        headers: { host: new URL(url).host, 'x-isthmus-explain': '1', ...options.headers },
        timeout: options.timeoutMs ?? 10_000,
      },
      response => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          if (size < BODY_BYTES_MAX) chunks.push(chunk);
          size += chunk.length;
        });
        response.on('error', fail);
        response.on('end', () => {
          const headers = flatten(response.headers);
          resolve({
            status: response.statusCode ?? 0,
            headers,
            body: Buffer.concat(chunks).subarray(0, BODY_BYTES_MAX).toString('utf8'),
            upstream: parseUpstream(headers['x-isthmus-upstream']),
            durationMs: performance.now() - started,
          });
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', fail);
    outgoing.end();
  });
}

function flatten(headers: NodeJS.Dict<string | string[]>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  );
}

/** `workload=payments-west-0; path=gateway; issuer="CN=…"` as a record. */
export function parseUpstream(header: string | undefined): UpstreamAccount | undefined {
  if (header === undefined) return undefined;
  const account: Record<string, string> = {};
  for (const [, key, quoted, plain] of header.matchAll(/([a-z0-9-]+)=(?:"([^"]*)"|([^;]*))/g)) {
    if (key !== undefined) account[key] = quoted ?? plain ?? '';
  }
  return account;
}

/** Where HTTP load goes, and the one check that it is served: the backend's own bytes come back. */

import { request } from 'node:http';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { messageOf } from '../../src/mesh/errors.ts';
import { sleep } from '../../src/runtime/supervise.ts';

export interface HttpTarget {
  readonly address: SocketAddress;
  readonly hostHeader: string;
  readonly path: string;
  readonly bodyBytes: number;
}

const SERVED_WITHIN_MS = 20_000;
const POLL_MS = 100;

export function formatUrl(target: HttpTarget): string {
  return `http://${formatAddress(target.address)}${target.path}`;
}

/** Resolves once a request is answered with 200 and a body of the right size; rejects at the deadline. */
export async function untilServed(target: HttpTarget, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + SERVED_WITHIN_MS;
  let answer = '';
  while (performance.now() < deadline && !signal.aborted) {
    answer = await ask(target);
    if (answer === `200, ${target.bodyBytes} bytes`) return;
    await sleep(POLL_MS, signal);
  }
  throw new Error(
    `${formatUrl(target)} was not served within ${SERVED_WITHIN_MS / 1000} s; last: ${answer}`,
  );
}

function ask(target: HttpTarget): Promise<string> {
  const { host, port } = target.address;
  const options = { host, port, path: target.path, headers: { host: target.hostHeader } };
  return new Promise(resolve => {
    const outgoing = request({ ...options, agent: false, timeout: SERVED_WITHIN_MS }, response => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => (bytes += chunk.length));
      response.on('end', () => resolve(`${response.statusCode ?? '?'}, ${bytes} bytes`));
      response.on('error', error => resolve(error.message));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
    outgoing.on('error', error => resolve(messageOf(error)));
    outgoing.end();
  });
}

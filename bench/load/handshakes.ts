/**
 * Full mTLS handshakes, one after another on each of several callers. A handshake counts once the server
 * has sent something of its own in HTTP/2 (its SETTINGS), which it does only after it has verified us:
 * a caller that hangs up earlier lets a server skip work.
 */

import { readFileSync } from 'node:fs';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { latencyFigures } from '../figures.ts';
import type { TlsFiles } from '../systems/certificates.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';

export interface HandshakeLoad {
  readonly entry: SocketAddress;
  readonly serverName: string;
  readonly credentials: TlsFiles;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** RFC 9113 §3.4: the client's preface and an empty SETTINGS frame. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
const ANSWER_WITHIN_MS = 5_000;

export async function runHandshakes(job: HandshakeLoad): Promise<LoadOutcome> {
  const errors: Record<string, number> = {};
  const { chain, key, roots } = job.credentials;
  const [cert, ca] = [readFileSync(chain), readFileSync(roots)];
  const context = createSecureContext({ cert, key: readFileSync(key), ca, minVersion: 'TLSv1.3' });
  const latenciesMs: number[] = [];
  let done = 0;
  const startMs = performance.now() + job.warmUpMs;
  const endMs = startMs + job.measureMs;
  const caller = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const begunMs = performance.now();
      const problem = await shakeHands(job, context);
      const doneMs = performance.now();
      if (problem === undefined) done += 1;
      else errors[problem] = (errors[problem] ?? 0) + 1;
      if (problem === undefined && doneMs >= startMs && doneMs < endMs) {
        latenciesMs.push(doneMs - begunMs);
      }
    }
  };
  await Promise.all(Array.from({ length: job.connections }, caller));
  return {
    count: done,
    figures: {
      rps: (latenciesMs.length / job.measureMs) * 1000,
      ...latencyFigures(latenciesMs),
    },
    failure: failureOf('handshakes', done, errors),
  };
}

/** What went wrong, or undefined. */
function shakeHands(job: HandshakeLoad, secureContext: SecureContext): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({
      ...job.entry,
      secureContext,
      servername: job.serverName,
      ALPNProtocols: ['h2'],
      // The chain is checked; whose name it must be differs between the systems.
      checkServerIdentity: () => undefined,
    });
    let result: string | undefined = 'closed before an answer';
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy(new Error('no answer')));
    socket.once('secureConnect', () => socket.write(PREFACE));
    socket.once('data', () => {
      result = undefined;
      socket.destroy();
    });
    socket.on('error', (error: Error) => (result = error.message));
    socket.once('close', () => resolve(result));
  });
}

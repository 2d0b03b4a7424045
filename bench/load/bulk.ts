/** Streams that read as fast as they can what their first bytes made the far side pour. */

import { connect } from 'node:net';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';
import type { HttpTarget } from './target.ts';

export interface BulkLoad {
  readonly entry: SocketAddress;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** From a web server, over HTTP that nobody on the way reads. */
export interface BulkDownload extends Omit<BulkLoad, 'entry'> {
  readonly target: HttpTarget;
}

const READ_BUFFER_BYTES = 256 * 1024;
/** Of one stream's answers: more than any run can carry. */
const POURED_BYTES = 100e9;

export function runDownload({ target, ...job }: BulkDownload): Promise<LoadOutcome> {
  const { path, hostHeader, bodyBytes, address } = target;
  const request = `GET ${path} HTTP/1.1\r\nhost: ${hostHeader}\r\n\r\n`;
  const requests = Buffer.from(request.repeat(Math.ceil(POURED_BYTES / bodyBytes)));
  return runBulk({ ...job, entry: address }, requests);
}

/** Counts bytes; carried MB/s is of the measured time alone. */
export async function runBulk(job: BulkLoad, opening: Buffer): Promise<LoadOutcome> {
  const errors: Record<string, number> = {};
  let bytes = 0;
  const streams = Array.from({ length: job.connections }, () => {
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const callback = (count: number): boolean => {
      bytes += count;
      return true;
    };
    const stream = connect({ ...job.entry, noDelay: true, onread: { buffer, callback } });
    stream.on('error', () => (errors['socket'] = (errors['socket'] ?? 0) + 1));
    stream.once('end', () => (errors['closed'] = (errors['closed'] ?? 0) + 1));
    stream.write(opening);
    return stream;
  });
  await sleep(job.warmUpMs);
  const [bytesBefore, startMs] = [bytes, performance.now()];
  await sleep(job.measureMs);
  const mbPerSecond = (bytes - bytesBefore) / 1e3 / (performance.now() - startMs);
  const failure = failureOf('bulk', bytes - bytesBefore, errors);
  for (const stream of streams) stream.destroy();
  return { count: bytes, figures: { mbPerSecond }, failure };
}

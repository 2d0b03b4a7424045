/**
 * Open-loop load: requests are due by the clock, and latency counts from the moment one was due, not
 * from when it could be sent. A stall is paid by every request that fell due in it (what coordinated
 * omission hides). HTTP/1.1 over keep-alive connections, one request at a time on each.
 *
 * It must cost little beside what it measures, so it turns without sleeping, reads into one buffer for
 * each connection and parses no more than status and length.
 */

import { connect, type Socket } from 'node:net';
import { formatAddress } from '../../src/mesh/address.ts';
import { percentile } from '../figures.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';
import { parseResponseHead } from './response-head.ts';
import type { HttpTarget } from './target.ts';

export interface OpenLoop {
  readonly target: HttpTarget;
  readonly ratePerSecond: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const READ_BUFFER_BYTES = 64 * 1024;
/** For answers still under way after the last request was sent. */
const DRAIN_MS = 5_000;

export async function runOpenLoop(job: OpenLoop): Promise<LoadOutcome> {
  const errors: Record<string, number> = {};
  const onError = (kind: string): void => void (errors[kind] = (errors[kind] ?? 0) + 1);
  const idle: Connection[] = [];
  const latenciesMs: number[] = [];
  const everyMs = 1000 / job.ratePerSecond;
  const firstCounted = Math.round(job.warmUpMs / everyMs);
  const total = firstCounted + Math.round(job.measureMs / everyMs);
  let sent = 0;
  let answered = 0;
  let lastAnswerMs = 0;

  const all = await Promise.all(
    Array.from({ length: job.connections }, () => Connection.open(job.target)),
  );
  for (const connection of all) {
    connection.onAnswer = (request, atMs) => {
      answered += 1;
      lastAnswerMs = atMs;
      if (request >= firstCounted) latenciesMs.push(atMs - (startMs + request * everyMs));
      idle.push(connection);
    };
    connection.onError = onError;
    idle.push(connection);
  }

  const startMs = performance.now();
  const deadlineMs = startMs + total * everyMs + DRAIN_MS;
  await new Promise<void>(resolve => {
    const turn = (): void => {
      const nowMs = performance.now();
      while (sent < total && startMs + sent * everyMs <= nowMs) {
        const connection = idle.pop();
        if (connection === undefined) break; // Due and unsent: its latency is running.
        connection.send(sent);
        sent += 1;
      }
      if (answered === total || nowMs > deadlineMs || Object.keys(errors).length > 0) resolve();
      else setImmediate(turn);
    };
    turn();
  });
  if (answered < total && Object.keys(errors).length === 0) errors['unanswered'] = total - answered;
  for (const connection of all) connection.destroy();

  const ascending = Float64Array.from(latenciesMs).sort();
  const countedMs = lastAnswerMs - (startMs + firstCounted * everyMs);
  const us = (share: number): number => percentile(ascending, share) * 1000;
  return {
    count: answered,
    figures: {
      // Below the rate when the system could not keep up with it.
      rps: (latenciesMs.length / Math.max(job.measureMs, countedMs)) * 1000,
      p50Us: us(0.5),
      p99Us: us(0.99),
      p999Us: us(0.999),
      maxUs: us(1),
    },
    failure: failureOf('open loop', answered, errors),
  };
}

class Connection {
  onAnswer: (request: number, atMs: number) => void = () => undefined;
  onError: (kind: string) => void = () => undefined;
  readonly #socket: Socket;
  readonly #bytes: Buffer;
  #request = 0;
  #head = '';
  #bodyLeft = 0;

  static open(target: HttpTarget): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(target, () => resolve(connection), reject);
    });
  }

  private constructor(target: HttpTarget, onOpen: () => void, onRefused: (error: Error) => void) {
    const { path, hostHeader } = target;
    this.#bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${hostHeader}\r\n\r\n`);
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const read = (count: number): boolean => this.#read(buffer, count);
    this.#socket = connect({
      ...target.address,
      noDelay: true,
      onread: { buffer, callback: read },
    });
    this.#socket.once('connect', onOpen);
    this.#socket.on('error', error => {
      onRefused(new Error(`${formatAddress(target.address)}: ${error.message}`));
      this.onError('socket');
    });
    this.#socket.once('end', () => this.onError('closed'));
  }

  send(request: number): void {
    this.#request = request;
    this.#socket.write(this.#bytes);
  }

  destroy(): void {
    this.onError = () => undefined;
    this.#socket.destroy();
  }

  #read(buffer: Buffer, count: number): boolean {
    if (this.#bodyLeft > 0) {
      this.#bodyLeft -= count;
    } else {
      this.#head += buffer.toString('latin1', 0, count);
      const head = parseResponseHead(this.#head);
      if (head === undefined) return true;
      if (head.status < 200 || head.status > 299) this.onError(`status ${head.status}`);
      this.#bodyLeft = head.bytes + head.bodyBytes - this.#head.length;
      this.#head = '';
    }
    if (this.#bodyLeft === 0) this.onAnswer(this.#request, performance.now());
    else if (this.#bodyLeft < 0) this.onError('framing');
    return true;
  }
}

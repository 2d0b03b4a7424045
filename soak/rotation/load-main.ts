/**
 * The load as a process of its own: requests by the clock over keep-alive connections, and streams that
 * stay open from the first second to the last. Every answer is compared with what was asked.
 *
 * Run as `node load-main.js REQUESTS_PER_SECOND HTTP [STREAMS]`; on SIGTERM it stops sending, waits for what is under way and
 * prints its counts.
 */

import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { percentile } from '../../bench/figures.ts';
import { parseAddress } from '../../src/mesh/address.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import type { LoadReport } from './load.ts';

const TICK_MS = 5;
const TIMEOUT_MS = 5_000;
const STREAMS = 8;
/** Between messages of one stream. */
const MESSAGE_MS = 100;
const MESSAGE_BYTES = 4_096;
const URL_BASE = 'http://payments.shop.svc.clusterset.local';
const SERVED_BY = 'payments-west-0';

const [perSecond = '', http = '', streams] = process.argv.slice(2);
const entry = parseAddress(http);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const latenciesMs: number[] = [];
const failures = new Map<string, number>();
const counts = { sent: 0, done: 0, failed: 0, wrong: 0 };
let stopping = false;

function failed(why: string): void {
  counts.failed += 1;
  failures.set(why, (failures.get(why) ?? 0) + 1);
}

/** `dueMs`: when the clock asked for it, which is where its latency begins. */
function send(dueMs: number): void {
  const path = `/${counts.sent}`;
  counts.sent += 1;
  let settled = false;
  const settle = (failure: string | undefined): void => {
    if (settled) return;
    settled = true;
    counts.done += 1;
    latenciesMs.push(performance.now() - dueMs);
    if (failure !== undefined) failed(failure);
  };
  const outgoing = request(
    {
      ...entry,
      path: `${URL_BASE}${path}`,
      headers: { host: new URL(URL_BASE).host },
      agent,
      timeout: TIMEOUT_MS,
    },
    response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', error => settle(error.message));
      response.on('end', () => {
        if (response.statusCode === 200) {
          if (!isRight(body, path)) counts.wrong += 1;
          settle(undefined);
        } else settle(`status ${response.statusCode ?? '?'}: ${body.trim().slice(0, 80)}`);
      });
    },
  );
  outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
  outgoing.on('error', error => settle(error.message));
  outgoing.end();
}

/** From the cluster that has the service, about the request that was sent. */
function isRight(body: string, path: string): boolean {
  try {
    const answer = JSON.parse(body) as { servedBy?: unknown; path?: unknown };
    return answer.servedBy === SERVED_BY && answer.path === path;
  } catch {
    return false;
  }
}

/**
 * Opened once, at the start. What comes back is compared byte for byte with what was sent, which no two
 * messages and no two streams have in common. A stream that ends before we do has failed.
 */
function openStream(address: string, stream: number): () => void {
  const socket = connect(parseAddress(address));
  let next = 0;
  let expected = 0;
  let rest: Buffer = Buffer.alloc(0);
  let over = false;
  const end = (why: string): void => {
    if (over) return;
    over = true;
    if (!stopping || expected < next) failed(`stream: ${why}`);
  };
  const timer = setInterval(() => {
    if (stopping || over) return;
    counts.sent += 1;
    counts.done += 1;
    socket.write(messageOf(stream, next));
    next += 1;
  }, MESSAGE_MS);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (; rest.length >= MESSAGE_BYTES; rest = rest.subarray(MESSAGE_BYTES)) {
      if (!rest.subarray(0, MESSAGE_BYTES).equals(messageOf(stream, expected))) counts.wrong += 1;
      expected += 1;
    }
  });
  socket.on('error', error => end(error.message));
  socket.on('close', () => end('closed'));
  return () => {
    clearInterval(timer);
    if (!over && expected < next) end(`${next - expected} messages unanswered`);
    if (expected > next || rest.length > 0) counts.wrong += 1;
    over = true;
    socket.destroy();
  };
}

function messageOf(stream: number, number: number): Buffer {
  return Buffer.alloc(MESSAGE_BYTES, `${stream}/${number};`);
}

const closeStreams =
  streams === undefined
    ? []
    : Array.from({ length: STREAMS }, (_, index) => openStream(streams, index));
const startedMs = performance.now();
let due = 0;
const timer = setInterval(() => {
  const target = Math.floor(((performance.now() - startedMs) / 1000) * Number(perSecond));
  for (; due < target; due++) send(startedMs + (due * 1000) / Number(perSecond));
}, TICK_MS);

process.on('SIGINT', () => undefined);
process.once('SIGTERM', () => {
  void stop();
});

async function stop(): Promise<void> {
  clearInterval(timer);
  stopping = true;
  const deadline = performance.now() + TIMEOUT_MS + 1_000;
  while (counts.done < counts.sent && performance.now() < deadline) await sleep(TICK_MS);
  await sleep(1_000);
  for (const close of closeStreams) close();
  agent.destroy();
  const { sent, failed: failures_, wrong } = counts;
  const p99Us = Math.round(percentile(Float64Array.from(latenciesMs).sort(), 0.99) * 1000);
  const report: LoadReport = {
    sent,
    failed: failures_,
    wrong,
    p99Us,
    failures: Object.fromEntries(failures),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

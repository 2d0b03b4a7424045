/**
 * The demo's OS processes: start, wait until ready, kill, start again, and leave none behind.
 *
 * Every process writes to its own log file in the run folder. One that ends unasked, or does not get
 * ready in time, is reported with the end of its log. Children are in process groups of their own, so
 * Ctrl-C reaches the demo alone and the demo decides the order in which they stop.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { MeshError } from '../../mesh/errors.ts';
import { sleep } from '../../runtime/supervise.ts';
import { askAdmin } from '../admin-client.ts';
import type { FleetMember } from '../fleet.ts';

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Beside the demo's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Resolves to what is still missing, or undefined when the process can do its work. */
  readonly waitingFor: () => Promise<string | undefined>;
}

const BIN = fileURLToPath(new URL('../../../../bin/isthmus.js', import.meta.url));
const READY_WITHIN_MS = 20_000;
const POLL_MS = 40;
const STOP_WITHIN_MS = 5_000;
const DRAIN_WITHIN_MS = 15_000;
const LOG_TAIL_LINES = 8;

export class ProcessSet {
  readonly #logDir: string;
  readonly #specs = new Map<string, ProcessSpec>();
  readonly #running = new Map<string, ChildProcess>();

  constructor(runDir: string) {
    this.#logDir = join(runDir, 'logs');
    mkdirSync(this.#logDir, { recursive: true });
    process.once('exit', () => this.#killAllNow());
  }

  get size(): number {
    return this.#running.size;
  }

  /** Process IDs of those that run, by name. */
  get pids(): ReadonlyMap<string, number> {
    return new Map([...this.#running].flatMap(([name, { pid }]) => (pid ? [[name, pid]] : [])));
  }

  /** Starts the processes side by side; rejects with the first that fails, log tail included. */
  async start(...specs: readonly ProcessSpec[]): Promise<void> {
    await Promise.all(specs.map(spec => this.#startOne(spec)));
  }

  /** Starts processes that ran before, as they were. */
  async restart(...names: readonly string[]): Promise<void> {
    await this.start(...names.map(name => this.#spec(name)));
  }

  /** SIGKILL: no goodbye, no flush. Resolves once the kernel has ended it. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    if (child === undefined) throw new Error(`process "${name}" is not running`);
    await this.#end(name, child, 'SIGKILL');
  }

  /** SIGTERM, and as long as it takes to drain. */
  async stop(name: string): Promise<void> {
    const child = this.#running.get(name);
    if (child === undefined) throw new Error(`process "${name}" is not running`);
    await this.#end(name, child, 'SIGTERM', DRAIN_WITHIN_MS);
  }

  /** Asks everyone to stop, newest first; ends whoever does not within 5 s. */
  async stopAll(): Promise<void> {
    const children = [...this.#running].reverse();
    await Promise.all(children.map(([name, child]) => this.#end(name, child, 'SIGTERM')));
  }

  #spec(name: string): ProcessSpec {
    const spec = this.#specs.get(name);
    if (spec === undefined) throw new Error(`process "${name}" was never started`);
    return spec;
  }

  async #startOne(spec: ProcessSpec): Promise<void> {
    this.#specs.set(spec.name, spec);
    const logFile = join(this.#logDir, `${spec.name.replaceAll('/', '-')}.log`);
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(spec.command, spec.args, {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, ...spec.env },
    });
    closeSync(log);
    this.#running.set(spec.name, child);
    let ended: string | undefined;
    child.once('error', error => (ended = error.message));
    child.once('exit', (code, signal) => {
      ended = signal === null ? `exited with code ${code ?? '?'}` : `was ended by ${signal}`;
      if (this.#running.get(spec.name) === child) this.#running.delete(spec.name);
    });
    const deadline = performance.now() + READY_WITHIN_MS;
    let waiting: string | undefined = 'its first answer';
    while (ended === undefined && performance.now() < deadline) {
      waiting = await spec.waitingFor();
      if (waiting === undefined) return;
      await sleep(POLL_MS);
    }
    const what = ended ?? `is still waiting for ${waiting} after ${READY_WITHIN_MS / 1000} s`;
    throw new MeshError(
      'PEER_UNAVAILABLE',
      `${spec.name} ${what}; the end of its log:\n${tail(logFile)}`,
    );
  }

  #end(
    name: string,
    child: ChildProcess,
    signal: NodeJS.Signals,
    withinMs = STOP_WITHIN_MS,
  ): Promise<void> {
    this.#running.delete(name);
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise(resolve => {
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
      child.kill(signal);
    });
  }

  #killAllNow(): void {
    for (const child of this.#running.values()) child.kill('SIGKILL');
  }
}

/**
 * Data-plane processes stand beside every workload, so they are kept small: a young generation that fits
 * what one request allocates, a first full collection before what the start left is spread over the heap,
 * machine code only for what is hot, as few helper threads as there can be, one malloc arena
 * (docs/decisions/0008).
 */
const DATA_PLANE_FLAGS = [
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--single-threaded-gc',
  '--max-old-space-size=128',
  '--initial-heap-size=8',
  '--no-sparkplug',
];
/** The thresholds: what a burst of large bodies needed goes back to the system when it is over. */
const DATA_PLANE_ENV = {
  UV_THREADPOOL_SIZE: '1',
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '65536',
  MALLOC_MMAP_THRESHOLD_: '65536',
};

/** A component as it is meant to be started, with its state in `stateDir`. */
export function componentProcess(
  member: FleetMember,
  stateDir: string,
  configFile = member.configFile,
): ProcessSpec {
  const isDataPlane = member.component === 'sidecar' || member.component === 'gateway';
  return {
    name: member.name,
    command: process.execPath,
    args: [
      ...(isDataPlane ? DATA_PLANE_FLAGS : []),
      ...[BIN, member.component, '--config', configFile, '--state-dir', stateDir],
    ],
    env: isDataPlane ? DATA_PLANE_ENV : {},
    waitingFor: adminReady(member.admin),
  };
}

/** Ready when the process's admin server says so. */
export function adminReady(admin: SocketAddress): () => Promise<string | undefined> {
  return async () => {
    const answer = await askAdmin<{ waiting?: Record<string, string> }>(admin, '/ready');
    if (answer.kind === 'unreachable') return `its admin server at ${formatAddress(admin)}`;
    if (answer.status === 200) return undefined;
    return Object.values(answer.body.waiting ?? {}).join(', ');
  };
}

/** Ready when the address accepts a connection. */
export function accepting(address: SocketAddress): () => Promise<string | undefined> {
  return () =>
    new Promise(resolve => {
      const socket = connect(address.port, address.host, () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once('error', () => resolve(`${formatAddress(address)} to accept`));
    });
}

function tail(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines
    .slice(-LOG_TAIL_LINES)
    .map(line => `  ${line}`)
    .join('\n');
}

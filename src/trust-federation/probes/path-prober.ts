/**
 * Probes every path it is given, about once a second each, and says what became of it (mesh/path.ts).
 *
 * For gateways and sidecars alike. A connection is kept and pinged; every so often, and whenever it fails,
 * a new one is made with a whole handshake, so that what counts as a failure is a way that cannot be
 * used, not a connection that broke. A process that stood still itself draws no conclusions.
 */

import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { type Collection, Table } from '../../mesh/collection.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { nextPath, type PathEvent, type PathEvidence, type PathState } from '../../mesh/path.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import { aborted } from '../../runtime/supervise.ts';
import type { SvidSource } from '../identity/svid.ts';
import {
  PROBE_ANSWER_MS_MAX,
  PROBE_HANDSHAKE_MS_MAX,
  PROBE_INTERVAL_MS,
  PROBE_STALL_MS,
  PROBED_PATHS_MAX,
} from '../limits.ts';
import type { BundleSource } from '../peers/verify.ts';
import { dialProbe, type PingOutcome, type ProbeConnection } from './peer-probe.ts';

export interface Path {
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly address: SocketAddress;
}

/** `<cluster> <host:port>` */
export type PathKey = string;

export function pathKey({ cluster, address }: Pick<Path, 'cluster' | 'address'>): PathKey {
  return `${cluster} ${formatAddress(address)}`;
}

export interface PathProberOptions {
  readonly paths: Collection<PathKey, Path>;
  readonly identity: SvidSource;
  readonly bundles: BundleSource;
  /** A new connection at least this often. */
  readonly handshakeEveryMs: number;
  /** When something else than a probe last came back on it, such as a call. */
  readonly heardMs: (path: Path) => number | undefined;
  readonly now: () => number;
  readonly random: () => number;
}

interface Probed {
  readonly path: Path;
  readonly stop: AbortController;
  state: PathState;
  lastAnswerMs: number | undefined;
  rttMs: number | undefined;
  connection: ProbeConnection | undefined;
  connectedMs: number;
}

export class PathProber {
  readonly name = 'path-prober';
  /** Of the paths being probed; told of when a state changes. */
  readonly states = new Table<PathKey, PathState>('path-states');
  readonly #options: PathProberOptions;
  readonly #probed = new Map<PathKey, Probed>();
  #stoodStillMs = Number.NEGATIVE_INFINITY;

  constructor(options: PathProberOptions) {
    this.#options = options;
  }

  evidence(): readonly PathEvidence[] {
    return [...this.#probed.values()].map(({ path, state, lastAnswerMs, rttMs }) => ({
      cluster: path.cluster,
      address: path.address,
      state,
      lastAnswerMs: latest(lastAnswerMs, this.#options.heardMs(path)),
      rttMs,
    }));
  }

  async run(signal: AbortSignal): Promise<void> {
    const stopWatching = this.#watchOwnStalls();
    const follow = (): void => this.#follow();
    const stopFollowing = this.#options.paths.observe(follow);
    follow();
    await aborted(signal);
    stopFollowing();
    stopWatching();
    for (const probed of this.#probed.values()) this.#forget(probed);
  }

  #follow(): void {
    const { paths, now } = this.#options;
    for (const [key, probed] of this.#probed) {
      if (paths.get(key)?.trustDomain !== probed.path.trustDomain) this.#forget(probed);
    }
    for (const [key, path] of paths.entries()) {
      if (this.#probed.has(key) || this.#probed.size >= PROBED_PATHS_MAX) continue;
      const probed: Probed = {
        path,
        stop: new AbortController(),
        state: { kind: 'unknown', sinceMs: now() },
        lastAnswerMs: undefined,
        rttMs: undefined,
        connection: undefined,
        connectedMs: 0,
      };
      this.#probed.set(key, probed);
      this.states.put(key, probed.state);
      void this.#probe(probed);
    }
  }

  #forget(probed: Probed): void {
    const key = pathKey(probed.path);
    probed.stop.abort();
    probed.connection?.close();
    this.#probed.delete(key);
    this.states.delete(key);
  }

  async #probe(probed: Probed): Promise<void> {
    const isStopped = (): boolean => probed.stop.signal.aborted;
    while (!isStopped()) {
      const startedMs = performance.now();
      const outcome = await this.#ask(probed);
      const isExcused = outcome?.kind === 'failed' && (await this.#isExcused(probed, startedMs));
      if (outcome !== undefined && !isExcused && !isStopped()) this.#learn(probed, outcome);
      await this.#pause(probed);
    }
  }

  /**
   * On the connection there is, or else, and now and then anyway, on a new one. Undefined while nobody
   * vouches for that cluster: there is no way to ask.
   */
  async #ask(probed: Probed): Promise<PingOutcome | undefined> {
    const { handshakeEveryMs } = this.#options;
    const held = probed.connection;
    if (held?.isOpen === true && performance.now() - probed.connectedMs < handshakeEveryMs) {
      const outcome = await held.ping(PROBE_ANSWER_MS_MAX);
      if (outcome.kind === 'answered') return outcome;
    }
    const { identity, bundles, now } = this.#options;
    const bundle = bundles.get(probed.path.trustDomain);
    if (bundle === undefined) return undefined;
    const dialed = await dialProbe(probed.path, identity.current(), bundle, {
      withinMs: PROBE_HANDSHAKE_MS_MAX,
      now,
    });
    held?.close();
    probed.connection = undefined;
    if (dialed.kind === 'failed') return dialed;
    if (probed.stop.signal.aborted) dialed.connection.close();
    probed.connection = dialed.connection;
    probed.connectedMs = performance.now();
    return dialed.connection.ping(PROBE_ANSWER_MS_MAX);
  }

  /** Whether a failure says nothing of the path: we stood still meanwhile, or a call came back on it. */
  async #isExcused({ path }: Probed, startedMs: number): Promise<boolean> {
    // After the poll phase: a process that was stopped and goes on has its timers first.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    if (this.#stoodStillMs >= startedMs) return true;
    const heardMs = this.#options.heardMs(path);
    const askedMs = this.#options.now() - (performance.now() - startedMs);
    return heardMs !== undefined && heardMs > askedMs;
  }

  #learn(probed: Probed, outcome: PingOutcome): void {
    const nowMs = this.#options.now();
    const event: PathEvent = outcome;
    if (outcome.kind === 'answered') {
      probed.lastAnswerMs = nowMs;
      probed.rttMs = outcome.rttMs;
    }
    probed.state = nextPath(probed.state, event, nowMs);
    this.states.put(pathKey(probed.path), probed.state);
  }

  /** Until the next time, or until the connection breaks: that is worth a look at once. */
  #pause({ connection, stop }: Probed): Promise<void> {
    const ms = PROBE_INTERVAL_MS * (1 - JITTER * this.#options.random());
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        stop.signal.removeEventListener('abort', done);
        stopListening?.();
        resolve();
      };
      const timer = setTimeout(done, ms);
      stop.signal.addEventListener('abort', done, { once: true });
      const stopListening = connection?.isOpen === true ? connection.onClose(done) : undefined;
    });
  }

  #watchOwnStalls(): () => void {
    let lookedMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - lookedMs > STALL_LOOK_MS + PROBE_STALL_MS) this.#stoodStillMs = nowMs;
      lookedMs = nowMs;
    }, STALL_LOOK_MS);
    timer.unref();
    return () => clearInterval(timer);
  }
}

/** Observers that began together do not ask together for long. */
const JITTER = 0.25;
const STALL_LOOK_MS = 100;

function latest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}

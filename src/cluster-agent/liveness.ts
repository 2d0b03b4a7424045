/**
 * Which of the other clusters live: what the registry says of their leases and what this cluster's own
 * proxies say of the ways there, put together by mesh/liveness.ts and braked by mesh/withdrawal.ts.
 *
 * In: the clusters as the registry has them, the proxies' reports. Out: the same clusters with what was
 * withdrawn without a word kept (`clusters`), and each one's verdict (`verdicts`). It never removes a
 * cluster: who is a member is not decided here.
 */

import type { ClusterClaim, ClusterConfig } from '../mesh/cluster.ts';
import { type Collection, Table } from '../mesh/collection.ts';
import {
  isServed,
  type Liveness,
  leaseSignal,
  nextLiveness,
  type PathSignal,
  pathSignal,
  rampPercent,
  type Verdict,
} from '../mesh/liveness.ts';
import type { ClusterName } from '../mesh/names.ts';
import type { PathEvidence } from '../mesh/path.ts';
import type { ExportedService } from '../mesh/service.ts';
import { brakeWithdrawals, type HeldService } from '../mesh/withdrawal.ts';
import type { Logger } from '../runtime/log.ts';
import { aborted } from '../runtime/supervise.ts';
import { LIVENESS_TICK_MS, REPORT_FRESH_MS } from './limits.ts';
import type { ProxyKey, ProxyReport } from './proxies/proxy-reports.ts';

export interface ClusterVerdict {
  readonly verdict: Verdict;
  readonly isServed: boolean;
  /** Percent of its due: less for a while after a return. */
  readonly availability: number;
}

export interface LivenessOptions {
  readonly own: Pick<ClusterConfig, 'name' | 'network'>;
  /** As the registry has them. */
  readonly claims: Collection<ClusterName, ClusterClaim>;
  readonly reports: Collection<ProxyKey, ProxyReport>;
  readonly onVerdict: (verdict: Verdict['kind']) => void;
  readonly log: Logger;
  readonly now: () => number;
}

type ObservedPath = PathEvidence & Pick<ProxyReport, 'proxy'>;

interface Known {
  readonly claim: ClusterClaim;
  readonly liveness: Liveness;
  readonly paths: PathSignal;
  /** What its living agent last said. */
  readonly vouched: readonly ExportedService[];
  readonly held: readonly HeldService[];
}

export class ClusterLiveness {
  readonly name = 'liveness';
  readonly clusters = new Table<ClusterName, ClusterClaim>('braked-clusters');
  readonly verdicts = new Table<ClusterName, ClusterVerdict>('verdicts');
  readonly #options: LivenessOptions;
  readonly #known = new Map<ClusterName, Known>();

  constructor(options: LivenessOptions) {
    this.#options = options;
    // Reports of thousands of proxies come all the time; they wait for the tick.
    options.claims.observe(() => this.look());
    this.look();
  }

  async run(signal: AbortSignal): Promise<void> {
    const tick = setInterval(() => this.look(), LIVENESS_TICK_MS);
    await aborted(signal);
    clearInterval(tick);
  }

  describe(): unknown[] {
    const paths = this.#freshPaths(this.#options.now());
    return [...this.#known].map(([cluster, { liveness, paths: signal, held }]) => ({
      cluster,
      ...this.verdicts.get(cluster),
      signals: { lease: this.#options.claims.get(cluster)?.freshness, paths: signal },
      returnedMs: liveness.returnedMs,
      heldWithdrawals: held,
      tombstone: isServed(liveness) ? undefined : this.clusters.get(cluster)?.exports.map(nameOf),
      observers: paths.filter(path => path.cluster === cluster),
    }));
  }

  heldWithdrawals(): number {
    return [...this.#known.values()].reduce((total, { held }) => total + held.length, 0);
  }

  /** With the signals as they are now. */
  look(): void {
    const { claims, own, now } = this.#options;
    const nowMs = now();
    const paths = new Map<ClusterName, PathEvidence[]>();
    for (const path of this.#freshPaths(nowMs)) {
      const known = paths.get(path.cluster);
      if (known === undefined) paths.set(path.cluster, [path]);
      else known.push(path);
    }
    const rows: [ClusterName, ClusterClaim][] = [];
    for (const cluster of new Set([...claims.entries().keys(), ...this.#known.keys()])) {
      const claim = claims.get(cluster) ?? this.#vanished(cluster);
      if (claim === undefined) this.#known.delete(cluster);
      else
        rows.push([
          cluster,
          cluster === own.name ? claim : this.#judge(claim, paths.get(cluster) ?? [], nowMs),
        ]);
    }
    this.clusters.replaceAll(rows);
    this.verdicts.replaceAll(
      [...this.#known].map(([cluster, { liveness }]) => [
        cluster,
        {
          verdict: liveness.verdict,
          isServed: isServed(liveness),
          availability: rampPercent(liveness, nowMs),
        },
      ]),
    );
  }

  /** A cluster that left without a word: its lease had run out, so it was not its agent who removed it. */
  #vanished(cluster: ClusterName): ClusterClaim | undefined {
    const known = this.#known.get(cluster);
    if (known === undefined || known.claim.freshness.kind === 'live') return undefined;
    return isServed(known.liveness) ? { ...known.claim, exports: [] } : undefined;
  }

  /** The claim as it is to be used: with what nobody accountable has withdrawn. */
  #judge(claim: ClusterClaim, evidence: readonly PathEvidence[], nowMs: number): ClusterClaim {
    const { name: cluster, network } = claim.config;
    const before = this.#known.get(cluster);
    const signal = pathSignal(evidence, nowMs, REPORT_FRESH_MS);
    // Its sidecars are reached directly: its gateways say nothing of them.
    const isDirect = network === this.#options.own.network;
    const paths = signal === 'lost' && isDirect ? 'none' : signal;
    const signals = { lease: leaseSignal(claim.freshness), paths };
    const liveness = nextLiveness(before?.liveness, signals, nowMs);
    const isVouched = claim.freshness.kind === 'live' || !isServed(liveness);
    const vouched = isVouched ? claim.exports : (before?.vouched ?? claim.exports);
    const { exports, held } = brakeWithdrawals(vouched, claim.exports);
    this.#known.set(cluster, { claim, liveness, paths, vouched, held });
    this.#tell(cluster, before, liveness.verdict, held);
    return held.length === 0 ? claim : { ...claim, exports };
  }

  #freshPaths(nowMs: number): readonly ObservedPath[] {
    return [...this.#options.reports.entries().values()]
      .filter(({ atMs }) => nowMs - atMs <= REPORT_FRESH_MS)
      .flatMap(({ proxy, paths }) => paths.map(path => ({ proxy, ...path })));
  }

  #tell(
    cluster: ClusterName,
    before: Known | undefined,
    verdict: Verdict,
    held: readonly HeldService[],
  ): void {
    const { log, onVerdict } = this.#options;
    if (held.length > (before?.held.length ?? 0)) {
      log.warn({ cluster, held }, 'withdrawal held back: its agent did not say so');
    }
    if (before?.liveness.verdict.kind === verdict.kind) return;
    onVerdict(verdict.kind);
    log.info({ cluster, verdict, before: before?.liveness.verdict.kind }, 'liveness changed');
  }
}

function nameOf({ namespace, name, endpoints }: ExportedService): unknown {
  return { namespace, name, endpoints: endpoints.length };
}

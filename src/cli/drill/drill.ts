/**
 * A rehearsed loss of a cluster: look before, drain, watch, give back.
 *
 * The drain it asks for ends by itself a little after the drill would, so a command that is killed, or
 * loses its terminal, leaves nothing behind.
 */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { sleep } from '../../runtime/supervise.ts';
import { askAdminBody } from '../admin-client.ts';
import type { Fleet } from '../fleet.ts';
import { IntentClient } from '../intents.ts';
import { agentOf } from '../operator.ts';
import { formatDuration, style, table } from '../text.ts';
import {
  type DrillService,
  type Forecast,
  forecastDrain,
  isSafe,
  type Verdict,
} from './preflight.ts';
import { between, isHarm, readTotals, type Totals } from './watch.ts';

export interface DrillOptions {
  readonly cluster: ClusterName;
  /** How long is looked before: its share of errors is what the drill is measured against. */
  readonly baselineMs: number;
  readonly overMs: number;
  readonly holdMs: number;
  readonly isForced: boolean;
  readonly say: (line: string) => void;
  /** Aborts when the operator has seen enough. */
  readonly signal: AbortSignal;
}

export type DrillOutcome = 'held' | 'harmed' | 'refused' | 'ended';

const LOOK_MS = 1_000;
/** Beyond the drill's own end, for a drain whose command is gone. */
const EXPIRY_MARGIN_MS = 30_000;

/**
 * As the first agent that answers, not of the drained cluster if possible, imports them. Throws
 * CONFIG_INVALID for a cluster that the configuration does not name, PEER_UNAVAILABLE.
 */
export async function preflight(fleet: Fleet, cluster: ClusterName): Promise<Forecast[]> {
  agentOf(fleet, cluster);
  const others = fleet.clusters.filter(each => each.name !== cluster);
  for (const { agent } of [...others, ...fleet.clusters]) {
    const services = await askAdminBody<DrillService[]>(agent.admin, '/debug/imports');
    if (services !== undefined) return forecastDrain(services, cluster);
  }
  throw new MeshError(
    'PEER_UNAVAILABLE',
    'no agent answers on its admin address; start one, or run this where they are',
  );
}

export function formatForecast(forecasts: readonly Forecast[], cluster: string): string {
  if (forecasts.length === 0) return `${cluster} backs no service that other clusters could call\n`;
  const rows = forecasts.map(({ service, leaving, staying, verdict }) => [
    service,
    `${leaving} in ${cluster}`,
    [...staying].map(([name, endpoints]) => `${name} (${endpoints})`).join(', ') || '-',
    verdictText(verdict),
  ]);
  return `${table(['SERVICE', 'LEAVES', 'GOES TO', 'ROOM'], rows)}\n`;
}

export async function runDrill(fleet: Fleet, options: DrillOptions): Promise<DrillOutcome> {
  const { cluster, baselineMs, overMs, holdMs, isForced, say, signal } = options;
  const forecasts = await preflight(fleet, cluster);
  say(formatForecast(forecasts, cluster));
  if (!forecasts.every(isSafe) && !isForced) {
    say(
      `${style('refused:', 'red')} not every service has room elsewhere; --force drains all the same`,
    );
    return 'refused';
  }
  const sidecars = fleet.clusters.flatMap(each => each.sidecars);
  say(`measuring ${formatDuration(baselineMs)} before the drain`);
  const look = (): Promise<Totals> => readTotals(sidecars, cluster);
  const early = await look();
  await sleep(baselineMs, signal);
  if (signal.aborted) return 'ended';
  const baseline = between(early, await look());
  return IntentClient.use(fleet, async intents => {
    await refuseIfDrained(intents, cluster);
    const startMs = Date.now();
    const endMs = startMs + overMs + holdMs;
    const untilMs = endMs + EXPIRY_MARGIN_MS;
    await intents.put({ kind: 'drain', cluster, startMs, overMs, untilMs }, 'drill');
    try {
      const start = await look();
      let before = start;
      while (Date.now() < endMs) {
        await sleep(LOOK_MS, signal);
        if (signal.aborted) return 'ended';
        const now = await look();
        const seen = between(before, now);
        before = now;
        say(progress(seen, cluster, Date.now() - startMs, overMs));
        if (isHarm(seen, baseline)) {
          say(
            `${style('harm:', 'red')} ${seen.errors} of ${seen.requests} calls failed in the last second`,
          );
          return 'harmed';
        }
      }
      say(conclusion(between(start, before)));
      return 'held';
    } finally {
      await intents.delete(`drain/${cluster}`);
      say(`${cluster} has its traffic back`);
    }
  });
}

/** Ending a rehearsal would end the drain that someone meant. */
async function refuseIfDrained(intents: IntentClient, cluster: ClusterName): Promise<void> {
  const nowMs = Date.now();
  const drain = (await intents.list()).find(
    intent => intent.kind === 'drain' && intent.cluster === cluster,
  );
  if (drain?.kind !== 'drain' || nowMs >= (drain.untilMs ?? Infinity)) return;
  throw new MeshError(
    'REQUEST_INVALID',
    `${cluster} is being drained by ${drain.by}; take that back first with: isthmus undrain ${cluster}`,
  );
}

function progress(seen: Totals, cluster: string, elapsedMs: number, overMs: number): string {
  const drained = overMs === 0 ? 100 : Math.min(100, Math.floor((elapsedMs / overMs) * 100));
  const share = seen.requests === 0 ? 0 : Math.round((seen.toCluster / seen.requests) * 100);
  return `${formatDuration(elapsedMs).padStart(6)}  ${drained} % drained, ${seen.requests} calls/s, ${share} % of them to ${cluster}, ${seen.errors} failed`;
}

function conclusion({ requests, errors }: Totals): string {
  return requests === 0
    ? `${style('nothing shown:', 'yellow')} nobody called anything meanwhile`
    : `${style('held:', 'green')} ${errors} of ${requests} calls failed`;
}

function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'room':
      return `${style('yes', 'green')}: ${concurrent(verdict)}`;
    case 'unknown':
      return style('unknown: no capacity is configured', 'yellow');
    case 'too-little':
      return style(`no: ${concurrent(verdict)}`, 'red');
    case 'nobody-else':
      return style('no: no other cluster serves it', 'red');
  }
}

function concurrent(room: { readonly needed: number; readonly free: number }): string {
  return `${Math.round(room.needed)} concurrent requests, ${Math.round(room.free)} free`;
}

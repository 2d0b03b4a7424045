/**
 * What is asked of sidecars that carry plain bytes. The bytes are the HTTP that load and backend speak, of
 * which no system reads a word here.
 */

import type { BulkDownload } from '../load/bulk.ts';
import { runGenerator } from '../load/outcome.ts';
import { untilServed } from '../load/target.ts';
import { type Bench, type Scenario, underLoad } from '../scenario.ts';
import type { RunningSystem } from '../systems/system.ts';
import { BUSY, bulkQuestion } from './gateway.ts';
import { closedLoop, cpuColumns, LATENCY, MEMORY, measureClosedLoop, targetOf } from './http.ts';
import type { SystemName } from './path.ts';

const SETTING_UP = 16;
/** Between its sidecars it would do as `haproxy` does. */
const WITHOUT: readonly SystemName[] = ['haproxyH2'];

export function tcpScenarios(bench: Bench, roles: readonly string[]): Scenario[] {
  // Bulk and connections settle sooner than small requests.
  const brief = { ...bench, pace: { ...bench.pace, measureMs: bench.pace.measureMs / 2 } };
  return [
    {
      ...closedLoop(bench, roles, 'tcp50', 50, '/1k', 'rps50Tcp'),
      title: 'TCP: 1024-byte answers, closed loop, 50 connections kept open',
    },
    bulk(brief, roles, 1),
    bulk(brief, roles, 8),
    connects(brief, roles),
  ].map(scenario => ({
    ...scenario,
    without: WITHOUT,
    measure: system => scenario.measure(atTcpEntry(system)),
  }));
}

function bulk(bench: Bench, roles: readonly string[], streams: number): Scenario {
  const { bed, pace, signal } = bench;
  const question = bulkQuestion(roles, streams);
  return {
    ...question,
    id: `tcpBulk${streams}`,
    title: `TCP: ${question.title}`,
    measure: async system => {
      const target = targetOf(system, '/16m');
      await untilServed(target, signal);
      const { warmUpMs, measureMs } = pace;
      const job: BulkDownload = { target, connections: streams, warmUpMs, measureMs };
      return underLoad(bench, system, 'byte', () =>
        runGenerator(bed.placement.load, 'bulk-main', job, warmUpMs + measureMs, signal),
      );
    },
  };
}

function connects(bench: Bench, roles: readonly string[]): Scenario {
  return {
    id: 'tcpConnects',
    title: `TCP: connections set up, one request each and closed, ${SETTING_UP} at a time
(a TLS handshake for each between the peers' sidecars, a stream in the tunnel between ours)`,
    connections: SETTING_UP,
    columns: [
      { heading: 'connections/s', figure: 'rps' },
      ...LATENCY,
      ...cpuColumns(roles),
      BUSY,
      ...MEMORY,
    ],
    ratios: [
      { name: 'connects', figure: 'rps', better: 'higher' },
      { name: 'cpuPerConnect', figure: 'cpuUsPerRequest.total', better: 'lower' },
    ],
    measure: system =>
      measureClosedLoop(bench, system, { connections: SETTING_UP, path: '/1k', closing: true }),
  };
}

/** The same processes, entered where they take bytes. */
function atTcpEntry(system: RunningSystem): RunningSystem {
  if (system.tcpEntry === undefined) throw new Error(`${system.name} takes no plain bytes`);
  return { ...system, entry: system.tcpEntry };
}

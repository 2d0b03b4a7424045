/** The two paths through sidecars: by way of a gateway, and without one. */

import { closedLoop, openLoop } from './http.ts';
import type { BenchPath, SystemName } from './path.ts';
import { tcpScenarios } from './tcp.ts';

const SYSTEMS: readonly SystemName[] = ['isthmus', 'haproxy', 'haproxyH2', 'nginx', 'envoy'];
const CHAIN_ROLES = ['out', 'gateway', 'in'];
const HOP_ROLES = ['out', 'in'];

export const chain: BenchPath = {
  topology: 'chain',
  systems: SYSTEMS,
  scenarios: bench => [
    closedLoop(bench, CHAIN_ROLES, 'c50', 50, '/1k', 'rps50'),
    closedLoop(bench, CHAIN_ROLES, 'c4', 4, '/1k', 'rps4'),
    closedLoop(bench, CHAIN_ROLES, 'body100k', 50, '/100k', 'rps50Body100k'),
    openLoop(bench, 2_000),
    openLoop(bench, 20_000),
    ...tcpScenarios(bench, CHAIN_ROLES),
  ],
};

export const hop: BenchPath = {
  topology: 'hop',
  systems: SYSTEMS,
  scenarios: bench => [
    closedLoop(bench, HOP_ROLES, 'c50', 50, '/1k', 'rps50'),
    closedLoop(bench, HOP_ROLES, 'c4', 4, '/1k', 'rps4'),
    openLoop(bench, 2_000),
    ...tcpScenarios(bench, HOP_ROLES),
  ],
};

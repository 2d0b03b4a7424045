/** A path is what `npm run bench -- NAME` runs: a topology, who is compared in it, and its scenarios. */

import type { Bench, Scenario } from '../scenario.ts';
import type { Topology } from '../systems/system.ts';

export type SystemName =
  | 'isthmus'
  | 'haproxy'
  | 'haproxyH2'
  | 'haproxySplice'
  | 'haproxy256k'
  | 'nginx'
  | 'nginx256k'
  | 'envoy';

export interface BenchPath {
  readonly topology: Topology;
  readonly systems: readonly SystemName[];
  readonly scenarios: (bench: Bench) => readonly Scenario[];
}

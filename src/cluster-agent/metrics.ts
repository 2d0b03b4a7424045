/** The agent's metrics; every label has a closed set of values. */

import { Counter, Gauge } from 'prom-client';
import { createMetrics, type MetricsRegistry } from '../runtime/metrics.ts';

export interface AgentMetrics {
  readonly registry: MetricsRegistry;
  readonly certificates: Counter<'method' | 'result'>;
  readonly connectionsRefused: Counter<'port' | 'reason'>;
  readonly claimsRefused: Counter<'kind'>;
  readonly foreignBundles: Counter<'result'>;
  readonly pushes: Counter<'type' | 'result'>;
  readonly verdicts: Counter<'verdict'>;
}

export interface AgentFigures {
  readonly servicesProblem: () => boolean;
  readonly policiesProblem: () => boolean;
  readonly spills: () => number;
  readonly registryConnected: () => boolean;
  readonly clusters: () => { readonly live: number; readonly stale: number };
  readonly dead: () => number;
  readonly unreachable: () => number;
  readonly heldWithdrawals: () => number;
  readonly refusals: () => number;
  readonly proxies: () => { readonly connected: number; readonly nacked: number };
  /** By kind; epoch milliseconds. */
  readonly soonestExpiry: () => ReadonlyMap<string, number>;
}

export function createAgentMetrics(): AgentMetrics {
  const registry = createMetrics('agent');
  const registers = [registry];
  return {
    registry,
    certificates: new Counter({
      name: 'isthmus_agent_certificates_total',
      help: 'Certificate requests of proxies, by method and result',
      labelNames: ['method', 'result'],
      registers,
    }),
    connectionsRefused: new Counter({
      name: 'isthmus_agent_connections_refused_total',
      help: 'Connections refused before a call was read, by port and reason',
      labelNames: ['port', 'reason'],
      registers,
    }),
    claimsRefused: new Counter({
      name: 'isthmus_agent_claims_refused_total',
      help: 'Claims about other clusters that were not believed, by what was wrong with them',
      labelNames: ['kind'],
      registers,
    }),
    verdicts: new Counter({
      name: 'isthmus_agent_verdicts_total',
      help: 'Changes of the liveness of other clusters, by what they changed to',
      labelNames: ['verdict'],
      registers,
    }),
    foreignBundles: new Counter({
      name: 'isthmus_agent_foreign_bundles_total',
      help: 'Looks at foreign bundle endpoints, and whether they brought a bundle',
      labelNames: ['result'],
      registers,
    }),
    pushes: new Counter({
      name: 'isthmus_agent_pushes_total',
      help: 'Configuration sent to proxies and their answers, by resource type',
      labelNames: ['type', 'result'],
      registers,
    }),
  };
}

/** Figures read from the agent's state at each scrape. */
export function exposeFigures({ registry }: AgentMetrics, figures: AgentFigures): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  new Gauge({
    name: 'isthmus_agent_trust_expires_seconds',
    help: 'When the first certificate of each kind ends, in seconds since 1970',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [kind, notAfterMs] of figures.soonestExpiry()) {
        this.set({ kind }, notAfterMs / 1000);
      }
    },
  });
  gauge('isthmus_agent_services_file_bad', '1 while the services file is refused', () =>
    figures.servicesProblem() ? 1 : 0,
  );
  gauge('isthmus_agent_policies_file_bad', '1 while the policies file is refused', () =>
    figures.policiesProblem() ? 1 : 0,
  );
  gauge(
    'isthmus_agent_spills',
    'Services of clusters whose calls partly go elsewhere for their load',
    figures.spills,
  );
  gauge('isthmus_agent_registry_connected', '1 while the registry is followed', () =>
    figures.registryConnected() ? 1 : 0,
  );
  gauge(
    'isthmus_agent_clusters_live',
    'Clusters whose lease is held',
    () => figures.clusters().live,
  );
  gauge(
    'isthmus_agent_clusters_stale',
    'Clusters served from the last known good state',
    () => figures.clusters().stale,
  );
  gauge(
    'isthmus_agent_clusters_dead',
    'Clusters taken out of service: neither their lease nor any path answers, or not for long enough again',
    figures.dead,
  );
  gauge(
    'isthmus_agent_clusters_unreachable',
    'Clusters whose lease is held and that no proxy of this cluster reaches',
    figures.unreachable,
  );
  gauge(
    'isthmus_agent_withdrawals_held',
    'Services whose endpoints were withdrawn without a word of their agent, and stay',
    figures.heldWithdrawals,
  );
  gauge(
    'isthmus_agent_refusals',
    'Claims of other clusters that are not believed',
    figures.refusals,
  );
  gauge(
    'isthmus_agent_proxies_connected',
    'Proxies with an open stream',
    () => figures.proxies().connected,
  );
  gauge(
    'isthmus_agent_proxies_nacked',
    'Proxies that refused their latest configuration',
    () => figures.proxies().nacked,
  );
}

/** The gateway's figures. Labels are closed lists: nothing a caller sends becomes a label. */

import { Counter, Gauge } from 'prom-client';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import type { ConnectionRefusal } from '../trust-federation/peers/peer-listener.ts';
import type { ClientHelloRefusal } from '../wire/client-hello.ts';
import type { Direction } from './relay.ts';
import type { RoutingRefusal } from './routing.ts';

export type GatewayRefusal =
  | ClientHelloRefusal
  | 'hello-timeout'
  | 'closed-early'
  | RoutingRefusal
  | ConnectionRefusal
  | 'probe-limit'
  | 'source-limit'
  | 'endpoint-unreachable';

export interface GatewayMetrics {
  readonly refused: Counter<'reason'>;
  readonly probes: Counter;
  /** The rest changes with every connection or chunk; prom-client is told when somebody asks. */
  joined: number;
  open: number;
  readonly bytes: Record<Direction, number>;
}

export function createGatewayMetrics(registry: MetricsRegistry): GatewayMetrics {
  const registers = [registry];
  const metrics: GatewayMetrics = {
    refused: new Counter({
      name: 'isthmus_gateway_refused_total',
      help: 'Connections closed without reaching an endpoint, by reason',
      labelNames: ['reason'],
      registers,
    }),
    probes: new Counter({
      name: 'isthmus_gateway_probes_total',
      help: 'Connections of probes that this gateway answers itself',
      registers,
    }),
    joined: 0,
    open: 0,
    bytes: { 'to-endpoint': 0, 'to-caller': 0 },
  };
  new Counter({
    name: 'isthmus_gateway_connections_total',
    help: 'Connections joined to an endpoint',
    registers,
    collect() {
      this.reset();
      this.inc(metrics.joined);
    },
  });
  new Gauge({
    name: 'isthmus_gateway_open_connections',
    help: 'Connections open now, joined or not yet',
    registers,
    collect() {
      this.set(metrics.open);
    },
  });
  new Counter({
    name: 'isthmus_gateway_bytes_total',
    help: 'Bytes relayed',
    labelNames: ['direction'],
    registers,
    collect() {
      this.reset();
      for (const [direction, count] of Object.entries(metrics.bytes))
        this.inc({ direction }, count);
    },
  });
  return metrics;
}

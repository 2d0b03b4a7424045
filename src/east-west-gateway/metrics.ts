/** The gateway's figures. Labels are closed lists: nothing a caller sends becomes a label. */

import { Counter, Gauge } from 'prom-client';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import type { ConnectionRefusal } from '../trust-federation/peer-listener.ts';
import type { HelloOutcome } from './hello-reader.ts';
import type { RoutingRefusal } from './routing.ts';
import type { Direction } from './splice.ts';

export type GatewayRefusal =
  | Extract<HelloOutcome, { kind: 'refused' }>['reason']
  | RoutingRefusal
  | ConnectionRefusal
  | 'probe-limit'
  | 'source-limit'
  | 'endpoint-unreachable';

export interface GatewayMetrics {
  readonly accepted: Counter;
  readonly refused: Counter<'reason'>;
  readonly probes: Counter;
  readonly open: Gauge;
  /** Added to with every chunk; prom-client is told when somebody asks. */
  readonly bytes: Record<Direction, number>;
}

export function createGatewayMetrics(registry: MetricsRegistry): GatewayMetrics {
  const registers = [registry];
  const bytes: GatewayMetrics['bytes'] = { 'to-endpoint': 0, 'to-caller': 0 };
  new Counter({
    name: 'isthmus_gateway_bytes_total',
    help: 'Bytes relayed',
    labelNames: ['direction'],
    registers,
    collect() {
      this.reset();
      for (const [direction, count] of Object.entries(bytes)) this.inc({ direction }, count);
    },
  });
  return {
    accepted: new Counter({
      name: 'isthmus_gateway_connections_total',
      help: 'Connections joined to an endpoint',
      registers,
    }),
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
    open: new Gauge({
      name: 'isthmus_gateway_open_connections',
      help: 'Connections open now, joined or not yet',
      registers,
    }),
    bytes,
  };
}

/**
 * The demo's three clusters on free ports, with certificates that live seconds and a TCP port beside
 * payments' HTTP port, reached from web.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { relocate } from '../../test/support/relocate.ts';

const CLUSTERS = ['east', 'west', 'eu'] as const;
export const SVID_TTL = '20s';
const DEMO_CLUSTERS = fileURLToPath(new URL('../../../clusters', import.meta.url));
const STREAM_PORT = { port: 9000, protocol: 'tcp' };

export interface StreamAddresses {
  /** Where web's sidecar takes the streams. */
  readonly entry: SocketAddress;
  /** Where payments' echo has to listen. */
  readonly echo: SocketAddress;
}

export async function writeConfiguration(configDir: string): Promise<StreamAddresses> {
  await relocate(DEMO_CLUSTERS, configDir);
  const entry = await findFreeAddress('127.0.0.1');
  const echo = await findFreeAddress('127.0.0.1');
  for (const cluster of CLUSTERS) {
    edit(join(configDir, cluster, 'agent.yaml'), agent => ({ ...agent, svidTtl: SVID_TTL }));
  }
  edit(join(configDir, 'west', 'services.yaml'), ({ services }) => ({
    services: (services as { name: string; ports: object[] }[]).map(service =>
      service.name === 'payments'
        ? { ...service, ports: [...service.ports, STREAM_PORT] }
        : service,
    ),
  }));
  edit(join(configDir, 'west', 'sidecars', 'payments.yaml'), ({ inbound, ...rest }) => {
    const { services, ...listener } = inbound as { services: object[] };
    const stream = {
      ...STREAM_PORT,
      service: 'shop/payments',
      application: formatAddress(echo),
    };
    return { ...rest, inbound: { ...listener, services: [...services, stream] } };
  });
  edit(join(configDir, 'east', 'sidecars', 'web.yaml'), ({ outbound, ...rest }) => {
    const tcp = [
      {
        listen: formatAddress(entry),
        service: `payments.shop.svc.clusterset.local:${STREAM_PORT.port}`,
      },
    ];
    return { ...rest, outbound: { ...(outbound as object), tcp } };
  });
  return { entry, echo };
}

type Document = Record<string, unknown>;

function edit(file: string, change: (content: Document) => Document): void {
  writeFileSync(file, stringify(change(parse(readFileSync(file, 'utf8')) as Document)));
}

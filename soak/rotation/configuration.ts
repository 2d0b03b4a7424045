/**
 * The demo's three clusters on free ports, with certificates that live seconds, a TCP port beside
 * payments' HTTP port, reached from web, and a knife between eu's agent and the registry.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { formatAddress, parseAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { relocate } from '../../test/support/relocate.ts';
import { type Cuttable, openCuttable } from '../cut.ts';

export const CLUSTERS = ['east', 'west', 'eu'] as const;
export const SVID_TTL = '20s';
const DEMO_CLUSTERS = fileURLToPath(new URL('../../../clusters', import.meta.url));
const STREAM_PORT = { port: 9000, protocol: 'tcp' };

/** Whom the knife can cut off from the registry. */
export const CUT_OFF = 'eu';

export interface Ways {
  /** Where web's sidecar takes the streams. */
  readonly entry: SocketAddress;
  /** Where payments' echo has to listen. */
  readonly echo: SocketAddress;
  /** Between the agent of CUT_OFF and the registry. */
  readonly knife: Cuttable;
}

export async function writeConfiguration(configDir: string): Promise<Ways> {
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
  const registryFile = join(configDir, 'registry.yaml');
  const registry = parseAddress(read(registryFile)['listen'] as string);
  // On every address: one of them is the knife's.
  edit(registryFile, rest => ({ ...rest, listen: `0.0.0.0:${registry.port}` }));
  const knife = await openCuttable([registry]);
  edit(join(configDir, CUT_OFF, 'agent.yaml'), agent => ({
    ...agent,
    registry: knife.addresses.map(formatAddress),
  }));
  return { entry, echo, knife };
}

type Document = Record<string, unknown>;

function edit(file: string, change: (content: Document) => Document): void {
  writeFileSync(file, stringify(change(read(file))));
}

function read(file: string): Document {
  return parse(readFileSync(file, 'utf8')) as Document;
}

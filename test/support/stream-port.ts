/**
 * A TCP port beside payments' HTTP port, in a copy of the demo's configuration: the demo's own services
 * all speak HTTP, and bytes are carried, measured and broken too.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';

export const STREAM_PORT = 9000;

/** `caller` such as `east/web`. Resolves with the address at which its sidecar takes the streams. */
export async function addStreamPort(
  configDir: string,
  caller: string,
  application: SocketAddress,
): Promise<SocketAddress> {
  const port = { port: STREAM_PORT, protocol: 'tcp' };
  editYaml(join(configDir, 'west', 'services.yaml'), ({ services }) => ({
    services: (services as { name: string; ports: object[] }[]).map(service =>
      service.name === 'payments' ? { ...service, ports: [...service.ports, port] } : service,
    ),
  }));
  editYaml(sidecarFile(configDir, 'west/payments'), ({ inbound, ...rest }) => {
    const { services, ...listener } = inbound as { services: object[] };
    const stream = { ...port, service: 'shop/payments', application: formatAddress(application) };
    return { ...rest, inbound: { ...listener, services: [...services, stream] } };
  });
  const entry = await findFreeAddress('127.0.0.1');
  editYaml(sidecarFile(configDir, caller), ({ outbound, ...rest }) => {
    const service = `payments.shop.svc.clusterset.local:${STREAM_PORT}`;
    const tcp = [{ listen: formatAddress(entry), service }];
    return { ...rest, outbound: { ...(outbound as object), tcp } };
  });
  return entry;
}

type Document = Record<string, unknown>;

export function editYaml(file: string, change: (content: Document) => Document): void {
  writeFileSync(file, stringify(change(parse(readFileSync(file, 'utf8')) as Document)));
}

function sidecarFile(configDir: string, name: string): string {
  const [cluster = '', workload = ''] = name.split('/');
  return join(configDir, cluster, 'sidecars', `${workload}.yaml`);
}

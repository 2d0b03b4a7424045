/**
 * The configuration folder of the soak's ClusterSet, in the shape of `clusters/`: east calls, west
 * serves. Every address is free; JSON is YAML.
 */

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';

export const CLUSTER_SET = 'clusterset.example';
export const SERVICE_URL = 'http://payments.shop.svc.clusterset.local/';
/** The service whose endpoints come and go; nobody calls it. */
export const FLEET_HOST = 'fleet.shop.svc.clusterset.local';

export interface RegistryFiles {
  readonly configFile: string;
  readonly listen: SocketAddress;
  readonly admin: SocketAddress;
}

/** `name` is that of the file; `etcd` what the registry takes for etcd. */
export async function writeRegistry(
  configDir: string,
  name: string,
  etcd: readonly SocketAddress[],
): Promise<RegistryFiles> {
  const configFile = join(configDir, `${name}.yaml`);
  const listen = await findFreeAddress('127.0.0.1');
  const admin = await findFreeAddress('127.0.0.1');
  writeFile(configFile, {
    clusterSet: CLUSTER_SET,
    // On every address: one of them is a knife's.
    listen: `0.0.0.0:${listen.port}`,
    admin: formatAddress(admin),
    stateDir: 'unused',
    store: { kind: 'etcd', endpoints: etcd.map(formatAddress) },
  });
  return { configFile, listen, admin };
}

export interface WorkloadFile {
  readonly workload: string;
  readonly sidecar: string;
}

/** Writes agent, gateway and sidecars; returns the workloads with their sidecars' inbound addresses. */
export async function writeCluster(
  configDir: string,
  cluster: string,
  registries: readonly SocketAddress[],
  workloads: readonly { readonly name: string; readonly serviceAccount: string }[],
): Promise<readonly WorkloadFile[]> {
  const dir = join(configDir, cluster);
  const free = async (): Promise<string> => formatAddress(await findFreeAddress('127.0.0.1'));
  const common = { cluster, trustDomain: `${cluster}.example`, stateDir: 'unused' };
  const locality = { region: cluster, zone: `${cluster}-1` };
  const agent = { control: await free(), join: await free() };
  const gateway = await free();
  writeFile(join(dir, 'agent.yaml'), {
    ...common,
    ...agent,
    locality,
    clusterSet: CLUSTER_SET,
    registry: registries.map(formatAddress),
    gateways: [gateway],
    services: 'services.yaml',
    admin: await free(),
  });
  writeFile(join(dir, 'gateway.yaml'), {
    ...common,
    agent,
    name: `gateway-${cluster}-0`,
    listen: gateway,
    admin: await free(),
  });
  const written: WorkloadFile[] = [];
  for (const { name, serviceAccount } of workloads) {
    const sidecar = await free();
    written.push({ workload: name, sidecar });
    writeFile(join(dir, 'sidecars', `${name}.yaml`), {
      ...common,
      agent,
      locality,
      workload: { name, namespace: 'shop', serviceAccount },
      inbound: {
        listen: sidecar,
        services: [
          {
            service: `shop/${serviceAccount}`,
            port: 80,
            protocol: 'http',
            application: await free(),
          },
        ],
      },
      outbound: { http: await free() },
      admin: await free(),
    });
  }
  return written;
}

/** `fleet` are workload names without a process behind them. */
export function writeServices(
  configDir: string,
  cluster: string,
  workloads: readonly WorkloadFile[],
  fleet: readonly string[],
): void {
  const endpoints = workloads.map(each => ({ ...each, serviceAccount: 'payments' }));
  const ports = [{ port: 80, protocol: 'http' }];
  const payments = { name: 'payments', namespace: 'shop', ports, export: true, endpoints };
  const idle = {
    name: 'fleet',
    namespace: 'shop',
    ports,
    export: true,
    endpoints: fleet.map(workload => ({
      workload,
      serviceAccount: 'fleet',
      sidecar: '127.0.0.1:9',
    })),
  };
  const file = join(configDir, cluster, 'services.yaml');
  writeFile(`${file}.tmp`, { services: workloads.length > 0 ? [payments, idle] : [] });
  renameSync(`${file}.tmp`, file);
}

function writeFile(file: string, content: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(content, null, 2));
}

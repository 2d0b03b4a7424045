/** A real etcd for `demo --etcd`: one member on loopback, its data in the run folder. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { MeshError } from '../../mesh/errors.ts';
import { findFreeAddress } from '../../runtime/listen.ts';
import { accepting, type ProcessSpec } from './processes.ts';

export interface DemoEtcd {
  readonly spec: ProcessSpec;
  readonly client: SocketAddress;
}

/** Throws PEER_UNAVAILABLE with what to install when there is no etcd on PATH. */
export async function describeEtcd(runDir: string): Promise<DemoEtcd> {
  if (spawnSync('etcd', ['--version']).error !== undefined) {
    throw new MeshError(
      'PEER_UNAVAILABLE',
      'no "etcd" on PATH; install it, such as: apt-get install etcd-server',
    );
  }
  const [client, peer] = [await findFreeAddress('127.0.0.1'), await findFreeAddress('127.0.0.1')];
  const ready = accepting(client);
  return {
    client,
    spec: {
      name: 'etcd',
      command: 'etcd',
      args: [
        '--data-dir',
        join(runDir, 'etcd'),
        '--listen-client-urls',
        `http://${formatAddress(client)}`,
        '--advertise-client-urls',
        `http://${formatAddress(client)}`,
        '--listen-peer-urls',
        `http://${formatAddress(peer)}`,
        '--initial-advertise-peer-urls',
        `http://${formatAddress(peer)}`,
        '--initial-cluster',
        `default=http://${formatAddress(peer)}`,
      ],
      waitingFor: ready,
    },
  };
}

/** A copy of the registry's configuration that keeps its records in this etcd. */
export function withEtcdStore(configFile: string, etcd: SocketAddress, target: string): void {
  const document = parseDocument(readFileSync(configFile, 'utf8'));
  document.set('store', { kind: 'etcd', endpoints: [formatAddress(etcd)] });
  writeFileSync(target, document.toString());
}

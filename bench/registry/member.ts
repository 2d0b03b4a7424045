/** One simulated cluster: the real client, real credentials, and records of a real shape. */

import { join } from 'node:path';
import { RegistryClient } from '../../src/global-registry/client.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import {
  type ClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
} from '../../src/mesh/names.ts';
import {
  parseTrustDomain,
  registryId,
  requireSpiffeId,
  type TrustDomain,
} from '../../src/mesh/spiffe-id.ts';
import type { Logger } from '../../src/runtime/log.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { VERSION } from '../../src/runtime/version.ts';
import { loadMemberCredentials } from '../../src/trust-federation/authority/clusterset-authority.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import { RegistryDefinition } from '../../src/wire/generated/isthmus/registry/v1/registry.ts';
import type {
  RegistryRecord,
  RegistryUpdate,
  WatchPosition,
} from '../../src/wire/registry-records.ts';
import { SLICE_ENDPOINTS } from '../../src/wire/registry-slices.ts';

const ENDPOINTS_PER_SERVICE = 3;
const RECORDS_PER_PUBLISH = 100;
const RESUME_MS = 200;

export class Member {
  readonly cluster: ClusterName;
  readonly client: RegistryClient;
  /** A connection without the client, for counting what is on it. */
  readonly dial: () => RpcChannel;
  readonly #trustDomain: TrustDomain;
  /** No two clusters share a gateway's address. */
  readonly #host: string;

  static async open(
    clusterSetDir: string,
    clusterSet: TrustDomain,
    cluster: ClusterName,
    number: number,
    registry: SocketAddress,
    log: Logger,
  ): Promise<Member> {
    const dir = join(clusterSetDir, 'clusters', cluster, 'membership');
    const { svid, roots } = await loadMemberCredentials(dir);
    const tls = () => meshRpcTls(svid, roots, exactly(registryId(clusterSet)), Date.now);
    const client = new RegistryClient({ addresses: [registry], tls, log });
    return new Member(
      cluster,
      `10.0.${number}.1`,
      client,
      () => new RpcChannel(RegistryDefinition, { address: registry, tls: tls() }),
    );
  }

  private constructor(
    cluster: ClusterName,
    host: string,
    client: RegistryClient,
    dial: () => RpcChannel,
  ) {
    this.cluster = cluster;
    this.#host = host;
    this.client = client;
    this.dial = dial;
    this.#trustDomain = parseTrustDomain(`${cluster}.example`);
  }

  /** Everything the cluster says but for its roots, which nobody here verifies anything with. */
  async publish(services: number): Promise<void> {
    await this.client.publish({ puts: [this.#config()], deletes: [] });
    for (let at = 0; at < services; at += RECORDS_PER_PUBLISH) {
      const count = Math.min(RECORDS_PER_PUBLISH, services - at);
      const puts = Array.from({ length: count }, (_, i) =>
        this.slice(`svc-${at + i}`, ENDPOINTS_PER_SERVICE),
      );
      await this.client.publish({ puts, deletes: [] });
    }
  }

  /** As an agent follows the table: a watch that breaks is resumed where it stood. */
  async *follow(
    from: WatchPosition | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<RegistryUpdate, void> {
    let at = from;
    while (!signal.aborted) {
      try {
        for await (const update of this.client.watch(at, signal)) {
          at = update.position;
          yield update;
        }
      } catch (error) {
        if (!isMeshError(error)) throw error;
        await sleep(RESUME_MS, signal);
      }
    }
  }

  /** The slice of a service in which one endpoint's zone is `mark`. */
  slice(service: string, endpoints: number, mark = 'zone', slice = 0): RegistryRecord {
    return {
      kind: 'export-slice',
      slice: {
        namespace: parseNamespace(this.cluster),
        name: parseServiceName(service),
        slice,
        ports: [{ port: 80, protocol: 'http' }],
        exportTo: 'all',
        endpoints: Array.from({ length: endpoints }, (_, i) => ({
          workload: parseWorkloadName(`${service}-${slice * SLICE_ENDPOINTS + i}`),
          cluster: this.cluster,
          spiffeId: requireSpiffeId(
            `spiffe://${this.#trustDomain}/ns/${this.cluster}/sa/${service}`,
          ),
          locality: { region: this.cluster, zone: i === 0 ? mark : 'zone' },
          address: { host: this.#host, port: 15_008 },
        })),
      },
    };
  }

  #config(): RegistryRecord {
    return {
      kind: 'config',
      config: {
        name: this.cluster,
        instance: 'bench',
        trustDomain: this.#trustDomain,
        locality: { region: this.cluster, zone: 'zone' },
        network: this.cluster,
        gateways: [{ host: this.#host, port: 15_443 }],
        version: VERSION,
        startedMs: Date.now(),
        capabilities: [],
      },
    };
  }
}

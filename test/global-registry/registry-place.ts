/** A ClusterSet made by `initClusterSet`, and registry processes of it in this process. */

import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { RegistryConfig } from '../../src/global-registry/config.ts';
import { createRegistry } from '../../src/global-registry/registry.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { supervise } from '../../src/runtime/supervise.ts';
import { initClusterSet } from '../../src/trust-federation/authority/clusterset-authority.ts';
import { MembershipOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/membership.ts';

export const SET = parseTrustDomain('clusterset.example');

export interface RegistryPlace {
  readonly dir: string;
  /** Where everything `isthmus init` made is. */
  readonly made: string;
  /** Lines of the processes' logs, warnings and worse. */
  readonly warnings: readonly string[];
  /** A process; `name` is its state directory's. */
  start(name: string, options?: StartOptions): Promise<PlacedRegistry>;
  close(): Promise<void>;
}

export interface StartOptions {
  readonly store?: RegistryConfig['store'];
  /** Without: this process admits nobody. */
  readonly joins?: boolean;
  readonly addresses?: readonly SocketAddress[];
  readonly now?: () => number;
}

export interface PlacedRegistry {
  readonly address: SocketAddress;
  readonly join: SocketAddress;
  readonly stateDir: string;
  /** As the operator on its machine. */
  readonly operator: RpcChannel;
  stop(): Promise<void>;
}

const EMBEDDED: RegistryConfig['store'] = { kind: 'embedded' };

export async function createRegistryPlace(): Promise<RegistryPlace> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-join-'));
  const made = join(dir, 'made');
  await initClusterSet({ dir: made, trustDomain: SET, clusters: [], now: Date.now });
  const running = new Set<PlacedRegistry>();
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: line => void warnings.push(line) });
  return {
    dir,
    made,
    warnings,
    start: async (name, { store = EMBEDDED, joins = true, addresses, now } = {}) => {
      const stateDir = join(dir, name);
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      await cp(join(made, 'registry', 'identity'), join(stateDir, 'identity'), { recursive: true });
      if (joins) {
        await cp(join(made, 'registry', 'authority'), join(stateDir, 'authority'), {
          recursive: true,
        });
      }
      const anyPort = { host: '127.0.0.1', port: 0 };
      const join_ = await findFreeAddress('127.0.0.1');
      const config: RegistryConfig = {
        clusterSet: SET,
        listen: anyPort,
        admin: anyPort,
        stateDir,
        store,
        ...(joins
          ? {
              join: {
                listen: join_,
                addresses: addresses === undefined ? undefined : [...addresses],
              },
            }
          : {}),
      };
      const registry = await createRegistry(config, stateDir, log, 'registry.yaml', now);
      const stop = new AbortController();
      const done = supervise(registry.tasks, stop.signal);
      const socketPath = join(stateDir, 'operator.sock');
      const operator = new RpcChannel(MembershipOperatorDefinition, { socketPath });
      const placed: PlacedRegistry = {
        address: registry.address,
        join: registry.join ?? join_,
        stateDir,
        operator,
        stop: async () => {
          running.delete(placed);
          operator.close();
          stop.abort();
          await done;
        },
      };
      running.add(placed);
      return placed;
    },
    close: async () => {
      for (const each of running) await each.stop();
      await rm(dir, { recursive: true });
    },
  };
}

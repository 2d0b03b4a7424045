/**
 * A whole mesh in one process: YAML in, requests through.
 *
 * Components are assembled as their processes assemble them, from the same files (on free ports), with
 * the same credentials and over the same sockets; only the process boundary is missing. Each can be
 * stopped and started again by its name in the fleet.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CallOptions, type CallResult, callThrough } from '../../src/cli/call.ts';
import { enrolProxies, provisionClusterSet, shareServices } from '../../src/cli/demo/provision.ts';
import {
  allMembers,
  type Fleet,
  type FleetMember,
  findSidecar,
  readFleet,
} from '../../src/cli/fleet.ts';
import { createClusterAgent } from '../../src/cluster-agent/cluster-agent.ts';
import { agentConfigSchema } from '../../src/cluster-agent/config.ts';
import { gatewayConfig } from '../../src/east-west-gateway/config.ts';
import { buildGateway } from '../../src/east-west-gateway/east-west-gateway.ts';
import { registryConfigSchema } from '../../src/global-registry/config.ts';
import { createRegistry } from '../../src/global-registry/registry.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { closeServer, listen } from '../../src/runtime/listen.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { supervise, type Task } from '../../src/runtime/supervise.ts';
import { sidecarConfig } from '../../src/sidecar/config.ts';
import { buildSidecar } from '../../src/sidecar/sidecar.ts';
import { relocate } from './relocate.ts';

export type Application = (request: IncomingMessage, response: ServerResponse) => void;

export interface Mesh {
  readonly fleet: Fleet;
  readonly configDir: string;
  call(from: string, url: string, options?: CallOptions): Promise<CallResult>;
  /** As a graceful stop of the process would. */
  stop(...names: readonly string[]): Promise<void>;
  start(...names: readonly string[]): Promise<void>;
  /** The application beside a sidecar, by the sidecar's name. */
  stopApplication(name: string): Promise<void>;
  /** As before, or as another. */
  startApplication(name: string, as?: Application): Promise<void>;
  close(): Promise<void>;
}

const DEMO_CLUSTERS = fileURLToPath(new URL('../../../clusters', import.meta.url));

/** Resolves when every proxy can reach every service it should. */
export async function startMesh(options: {
  readonly clusters: readonly string[];
  /** Edits the copied configuration before anything reads it. */
  readonly configure?: (configDir: string) => void;
  /** By service account; default: answers 200 with the workload's name. */
  readonly applications?: Readonly<Record<string, Application>>;
}): Promise<Mesh> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-mesh-'));
  const configDir = join(dir, 'clusters');
  await relocate(DEMO_CLUSTERS, configDir);
  options.configure?.(configDir);
  const configured = readFleet(configDir);
  const fleet: Fleet = {
    ...configured,
    clusters: configured.clusters.filter(cluster => options.clusters.includes(cluster.name)),
  };
  const stateDir = (name: string): string => join(dir, 'state', name);
  mkdirSync(join(dir, 'state'), { mode: 0o700 });
  const members = new Map(allMembers(fleet).map(member => [member.name, member]));
  const running = new Map<string, { stop: AbortController; settled: Promise<void> }>();
  const applications = new Map<string, Server>();

  const start = async (name: string): Promise<void> => {
    const member = members.get(name);
    if (member === undefined) throw new Error(`no "${name}" in this mesh`);
    const tasks = await build(member, stateDir(name));
    const stop = new AbortController();
    running.set(name, { stop, settled: supervise(tasks, stop.signal) });
  };
  const stop = async (name: string): Promise<void> => {
    const process = running.get(name);
    running.delete(name);
    process?.stop.abort();
    await process?.settled;
  };
  const startApplication = async (name: string, as?: Application): Promise<void> => {
    const sidecar = findSidecar(fleet, name);
    const [address] = sidecar.applications;
    if (address === undefined) throw new Error(`"${name}" has no application`);
    const answer =
      as ?? options.applications?.[sidecar.serviceAccount] ?? answerWith(sidecar.workload);
    const server = createServer(answer);
    await listen(server, address);
    applications.set(name, server);
  };
  const stopApplication = async (name: string): Promise<void> => {
    const server = applications.get(name);
    if (server === undefined) return;
    const closed = closeServer(server);
    server.closeAllConnections();
    await closed;
  };

  const mesh: Mesh = {
    fleet,
    configDir,
    call: (from, url, callOptions) =>
      callThrough(findSidecar(fleet, from).outboundHttp, url, callOptions),
    start: async (...names) => {
      // When one cannot start, the others are waited for all the same: only what runs can be stopped.
      const started = await Promise.allSettled(names.map(start));
      const failed = started.find(each => each.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
    stop: async (...names) => {
      await Promise.all(names.map(stop));
    },
    startApplication,
    stopApplication,
    close: async () => {
      await Promise.all([...running.keys()].map(stop));
      await Promise.all([...applications.keys()].map(stopApplication));
      rmSync(dir, { recursive: true, force: true });
    },
  };

  try {
    await provisionClusterSet(fleet, stateDir);
    await mesh.start('registry', ...fleet.clusters.map(cluster => cluster.agent.name));
    await shareServices(fleet);
    await enrolProxies(fleet, stateDir);
    const proxies = fleet.clusters.flatMap(({ gateway, sidecars }) => [gateway, ...sidecars]);
    const sidecars = fleet.clusters.flatMap(cluster => cluster.sidecars);
    await Promise.all(sidecars.map(sidecar => startApplication(sidecar.name)));
    await mesh.start(...proxies.map(proxy => proxy.name));
    return mesh;
  } catch (error) {
    await mesh.close();
    throw error;
  }
}

/** Tries again until it does not throw; rejects with the last error after the deadline. */
export async function eventually<T>(attempt: () => Promise<T> | T, withinMs = 15_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise(resolve => setTimeout(resolve, 25));
    }
  }
}

function build(member: FleetMember, stateDir: string): Promise<readonly Task[]> {
  const { configFile } = member;
  const log = createLogger(member.name);
  switch (member.component) {
    case 'registry':
      return createRegistry(
        loadConfig(configFile, registryConfigSchema),
        stateDir,
        log,
        configFile,
      ).then(registry => registry.tasks);
    case 'agent':
      return createClusterAgent({
        config: loadConfig(configFile, agentConfigSchema),
        configFile,
        stateDir,
        log,
        now: Date.now,
      }).then(agent => agent.tasks);
    case 'gateway':
      return buildGateway(loadConfig(configFile, gatewayConfig), stateDir, log);
    case 'sidecar':
      return buildSidecar(loadConfig(configFile, sidecarConfig), stateDir, log);
  }
}

function answerWith(workload: string): Application {
  return (request, response) => {
    request.resume();
    response.end(
      JSON.stringify({
        servedBy: workload,
        caller: request.headers['x-forwarded-client-cert'] ?? null,
      }),
    );
  };
}

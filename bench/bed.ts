/**
 * The test bed: a folder that goes away, the backend, and every process that was started, so that none
 * is left behind. Everything listens on loopback, on ports that were free.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { accepting, ProcessSet, type ProcessSpec } from '../src/cli/demo/processes.ts';
import { findSidecar, readFleet } from '../src/cli/fleet.ts';
import type { SocketAddress } from '../src/mesh/address.ts';
import { parseServiceHost } from '../src/mesh/service.ts';
import { formatSni } from '../src/wire/sni.ts';
import { relocate } from '../test/support/relocate.ts';
import { STREAM_PORT } from '../test/support/stream-port.ts';
import { choosePlacement } from './placement.ts';
import { signalAll } from './standstill.ts';
import { makePeerCredentials } from './systems/certificates.ts';
import { CALLEE, CALLEE_HOST } from './systems/isthmus.ts';
import { BACKEND_BODIES, nginxArgs, nginxBackend, nginxEndpoint } from './systems/nginx.ts';
import type { Bed } from './systems/system.ts';
import { howToInstall, nginxStreamModule } from './tools.ts';

const CONFIG_DIR = fileURLToPath(new URL('../../clusters', import.meta.url));

export async function openBed(
  programs: { readonly nginx: string; readonly openssl: string },
  signal: AbortSignal,
): Promise<Bed> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const processes = new ProcessSet(dir);
  const close = async (): Promise<void> => {
    signalAll(processes.pids.values(), 'SIGCONT');
    await processes.stopAll();
    await rm(dir, { recursive: true, force: true });
  };
  const placement = choosePlacement();
  const start = async (prefix: readonly string[], spec: ProcessSpec): Promise<number> => {
    const [command = '', ...args] = [...prefix, spec.command, ...spec.args];
    await processes.start({ ...spec, command, args });
    const pid = processes.pids.get(spec.name);
    if (pid === undefined) throw new Error(`${spec.name} has ended`);
    return pid;
  };
  try {
    await relocate(CONFIG_DIR, join(dir, 'clusters'));
    const fleet = readFleet(join(dir, 'clusters'));
    const callee = findSidecar(fleet, CALLEE);
    const [backend] = callee.applications;
    const service = parseServiceHost(CALLEE_HOST);
    if (backend === undefined || service === undefined) throw new Error(`${CALLEE} has no service`);
    const serverNameOf = (port: number): string =>
      formatSni({
        cluster: callee.cluster,
        namespace: service.namespace,
        service: service.name,
        port,
      });
    const serverName = serverNameOf(80);
    const tcpServerName = serverNameOf(STREAM_PORT);
    await start(placement.load, await describeBackend(programs.nginx, dir, backend));
    return {
      dir,
      placement,
      backend,
      endpoint: callee.inbound,
      serverName,
      tcpServerName,
      peerCredentials: await makePeerCredentials(
        join(dir, 'peers'),
        programs.openssl,
        [serverName, tcpServerName],
        signal,
      ),
      fleet,
      stateDir: name => join(dir, 'state', name),
      startSystem: spec => start(placement.system, spec),
      withEndpoint: async work => {
        const spec = await describeEndpoint(programs.nginx, dir, callee.inbound);
        await start(placement.load, spec);
        try {
          return await work();
        } finally {
          await processes.kill(spec.name);
        }
      },
      processIds: () => [...processes.pids.values()],
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function describeBackend(
  nginx: string,
  dir: string,
  listen: SocketAddress,
): Promise<ProcessSpec> {
  const home = join(dir, 'backend');
  await mkdir(home);
  for (const path of ['/100k', '/16m'] as const) {
    await writeFile(join(home, path), Buffer.alloc(BACKEND_BODIES[path], 'x'));
  }
  return describeNginx(nginx, 'backend', home, listen, nginxBackend(listen, home));
}

async function describeEndpoint(
  nginx: string,
  dir: string,
  listen: SocketAddress,
): Promise<ProcessSpec> {
  const streamModule = nginxStreamModule(nginx);
  if (streamModule === undefined) {
    throw new Error(`this nginx has no stream module; ${howToInstall(['nginx'])}`);
  }
  const home = join(dir, 'endpoint');
  await mkdir(home, { recursive: true });
  return describeNginx(nginx, 'endpoint', home, listen, nginxEndpoint(listen, streamModule));
}

async function describeNginx(
  nginx: string,
  name: string,
  home: string,
  listen: SocketAddress,
  text: string,
): Promise<ProcessSpec> {
  const configFile = join(home, 'nginx.conf');
  await writeFile(configFile, text);
  const args = nginxArgs(configFile, home);
  return { name, command: nginx, args, waitingFor: accepting(listen) };
}

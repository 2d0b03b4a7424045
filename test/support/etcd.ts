/** A private etcd of one member, on free ports and in a directory of its own. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EtcdTlsFiles } from '../../soak/registry/etcd-cluster.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { sleep } from '../../src/runtime/supervise.ts';

export interface Etcd {
  readonly address: SocketAddress;
  /** Ends the process at once; the data stays. */
  kill(): Promise<void>;
  /** The same member again, after `kill`. */
  restart(): Promise<void>;
  /** Stops the process where it stands: a frozen machine, seen from outside. */
  freeze(): void;
  thaw(): void;
  /** Of everything it holds now. */
  saveBackup(): Promise<void>;
  /** The same member with what it held then. */
  restoreBackup(): Promise<void>;
  /** Ends the process and removes the data. */
  stop(): Promise<void>;
}

const NAME = 'test';
const START_MS_MAX = 15_000;
const etcdctl = (...args: readonly string[]): Promise<unknown> =>
  promisify(execFile)('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' } });

/** Throws when there is no etcd: the tests that need one must not pass without it. */
export async function startEtcd(tls?: EtcdTlsFiles): Promise<Etcd> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-etcd-'));
  const address = await findFreeAddress('127.0.0.1');
  const peer = await findFreeAddress('127.0.0.1');
  const metrics = tls === undefined ? undefined : await findFreeAddress('127.0.0.1');
  const tlsFlags = tls === undefined ? {} : { ...tls, 'client-cert-auth': 'true' };
  const dataDir = join(dir, 'data');
  const backup = join(dir, 'backup');
  const start = (): Promise<ChildProcess> => launch(dataDir, address, peer, tlsFlags, metrics);
  let child = await start();
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    address,
    kill,
    restart: async () => {
      child = await start();
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    saveBackup: async () => {
      await etcdctl(`--endpoints=${formatAddress(address)}`, 'snapshot', 'save', backup);
    },
    restoreBackup: async () => {
      await kill();
      await rm(dataDir, { recursive: true });
      const peerUrl = `http://${formatAddress(peer)}`;
      const member = [`--name=${NAME}`, `--initial-cluster=${NAME}=${peerUrl}`];
      const to = [`--initial-advertise-peer-urls=${peerUrl}`, `--data-dir=${dataDir}`];
      await etcdctl('snapshot', 'restore', backup, ...member, ...to);
      child = await start();
    },
    stop: async () => {
      await kill();
      await rm(dir, { recursive: true });
    },
  };
}

async function launch(
  dir: string,
  client: SocketAddress,
  peer: SocketAddress,
  tlsFlags: Readonly<Record<string, string>>,
  metrics: SocketAddress | undefined,
): Promise<ChildProcess> {
  const clientUrl = `${metrics === undefined ? 'http' : 'https'}://${formatAddress(client)}`;
  const healthUrl = metrics === undefined ? clientUrl : `http://${formatAddress(metrics)}`;
  const peerUrl = `http://${formatAddress(peer)}`;
  const flags = {
    name: NAME,
    'data-dir': dir,
    'listen-client-urls': clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `${NAME}=${peerUrl}`,
    'log-level': 'error',
    ...(metrics === undefined ? {} : { 'listen-metrics-urls': healthUrl }),
    ...tlsFlags,
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn('etcd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (text: Buffer) => {
    output = (output + text.toString()).slice(-2000);
  });
  let failure: string | undefined;
  child.on('error', (error: NodeJS.ErrnoException) => {
    failure =
      error.code === 'ENOENT'
        ? 'etcd is not installed; run: apt-get install etcd-server'
        : error.message;
  });
  child.on('exit', code => {
    failure ??= `etcd ended with code ${code ?? 'none'}: ${output}`;
  });
  const deadline = Date.now() + START_MS_MAX;
  while (!(await healthy(healthUrl))) {
    if (failure === undefined && Date.now() > deadline) {
      failure = `etcd was not healthy within ${START_MS_MAX} ms: ${output}`;
      child.kill('SIGKILL');
    }
    if (failure !== undefined) throw new Error(failure);
    await sleep(50);
  }
  return child;
}

async function healthy(url: string): Promise<boolean> {
  try {
    const { health } = (await (await fetch(`${url}/health`)).json()) as { health?: string };
    return health === 'true';
  } catch {
    return false;
  }
}

/** A real etcd of three members as processes: who leads, and what can be done to each of them. */

import { join } from 'node:path';
import { accepting, type ProcessSet, type ProcessSpec } from '../../src/cli/demo/processes.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { sleep } from '../../src/runtime/supervise.ts';

export interface EtcdMember {
  /** Its name among the processes. */
  readonly name: string;
  readonly client: SocketAddress;
  /** In the clear, for whoever runs it; the same as `client` without TLS. */
  readonly control: SocketAddress;
}

/** Flags of etcd, with files: its own certificate, and whom it lets in; for clients and members alike. */
export interface EtcdTlsFiles {
  readonly 'cert-file': string;
  readonly 'key-file': string;
  readonly 'trusted-ca-file': string;
}

const MEMBERS = 3;
const ANSWER_MS_MAX = 1_000;
const LEADER_MS_MAX = 30_000;
const POLL_MS = 100;

export class EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly #processes: ProcessSet;

  static async start(processes: ProcessSet, dir: string, tls?: EtcdTlsFiles): Promise<EtcdCluster> {
    const scheme = tls === undefined ? 'http' : 'https';
    const secure = (address: SocketAddress): string => `${scheme}://${formatAddress(address)}`;
    const members: (EtcdMember & { readonly peer: SocketAddress })[] = [];
    for (let each = 1; each <= MEMBERS; each++) {
      const client = await findFreeAddress('127.0.0.1');
      const control = tls === undefined ? client : await findFreeAddress('127.0.0.1');
      const peer = await findFreeAddress('127.0.0.1');
      members.push({ name: `etcd-${each}`, client, control, peer });
    }
    const initial = members.map(({ name, peer }) => `${name}=${secure(peer)}`).join(',');
    await processes.start(
      ...members.map(({ name, client, control, peer }): ProcessSpec => {
        const flags = {
          name,
          'data-dir': join(dir, name),
          'listen-client-urls': [...new Set([secure(client), url(control)])].join(','),
          'advertise-client-urls': secure(client),
          'listen-peer-urls': secure(peer),
          'initial-advertise-peer-urls': secure(peer),
          'initial-cluster': initial,
          'log-level': 'warn',
          ...(tls === undefined ? {} : flagsOf(tls)),
        };
        return {
          name,
          command: 'etcd',
          args: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
          waitingFor: accepting(client),
        };
      }),
    );
    const cluster = new EtcdCluster(processes, members);
    await cluster.leader();
    return cluster;
  }

  private constructor(processes: ProcessSet, members: readonly EtcdMember[]) {
    this.#processes = processes;
    this.members = members;
  }

  /** Waits for one. */
  async leader(): Promise<EtcdMember> {
    const deadline = performance.now() + LEADER_MS_MAX;
    while (performance.now() < deadline) {
      for (const member of this.members) if (await leads(member)) return member;
      await sleep(POLL_MS);
    }
    throw new Error(`etcd has had no leader for ${LEADER_MS_MAX / 1000} s`);
  }

  async kill(...members: readonly EtcdMember[]): Promise<void> {
    await Promise.all(members.map(({ name }) => this.#processes.kill(name)));
  }

  async restart(...members: readonly EtcdMember[]): Promise<void> {
    await this.#processes.restart(...members.map(({ name }) => name));
  }

  /** Seen from outside, machines that stand still. */
  freeze(...members: readonly EtcdMember[]): void {
    this.#signal('SIGSTOP', members);
  }

  thaw(...members: readonly EtcdMember[]): void {
    this.#signal('SIGCONT', members);
  }

  /** Drops the history up to what it is now. */
  async compact(): Promise<void> {
    const { control } = await this.leader();
    const { header } = await ask<{ header: { revision: string } }>(control, '/v3/kv/range', {
      key: Buffer.from('isthmus').toString('base64'),
    });
    await ask(control, '/v3/kv/compaction', { revision: header.revision });
  }

  #signal(signal: NodeJS.Signals, members: readonly EtcdMember[]): void {
    for (const { name } of members) {
      const pid = this.#processes.pids.get(name);
      if (pid === undefined) throw new Error(`"${name}" does not run`);
      process.kill(pid, signal);
    }
  }
}

function flagsOf(tls: EtcdTlsFiles): Record<string, string> {
  const flags = { ...tls, 'client-cert-auth': 'true' };
  const peers = Object.entries(flags).map(([flag, value]) => [`peer-${flag}`, value] as const);
  return { ...flags, ...Object.fromEntries(peers) };
}

async function leads({ control }: EtcdMember): Promise<boolean> {
  try {
    const status = await ask<{ leader?: string; header: { member_id: string } }>(
      control,
      '/v3/maintenance/status',
      {},
    );
    return status.leader !== undefined && status.leader === status.header.member_id;
  } catch {
    return false;
  }
}

/** etcd's JSON gateway. */
async function ask<T>(member: SocketAddress, path: string, body: object): Promise<T> {
  const response = await fetch(`${url(member)}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const answer = (await response.json()) as T & { error?: string };
  if (answer.error !== undefined) throw new Error(`etcd ${path}: ${answer.error}`);
  return answer;
}

function url(address: SocketAddress): string {
  return `http://${formatAddress(address)}`;
}

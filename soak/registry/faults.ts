/**
 * What is done to the control plane, each until it is undone: `strike` returns at the moment of healing.
 * Outages last longer than the leases of the agents (10 s), so that every lease has run out.
 */

import { sleep } from '../../src/runtime/supervise.ts';
import { type Bed, REGISTRIES } from './bed.ts';
import { type Distortion, FAITHFUL } from './distorter.ts';

export interface Fault {
  readonly name: string;
  strike(bed: Bed, signal: AbortSignal): Promise<void>;
}

const PAST_EVERY_LEASE_MS = 16_000;
const PAUSE_MS = 4_000;
const DISTORTED_MS = 15_000;
const LEADERS_KILLED = 3;
const LIES: Distortion = { drop: 0.15, repeat: 0.15, swap: 0.15 };

export const FAULTS: readonly Fault[] = [
  {
    name: 'etcd leader killed again and again',
    async strike({ etcd }, signal) {
      for (let count = 0; count < LEADERS_KILLED && !signal.aborted; count++) {
        const leader = await etcd.leader();
        await etcd.kill(leader);
        await sleep(PAUSE_MS, signal);
        await etcd.restart(leader);
        await sleep(PAUSE_MS, signal);
      }
    },
  },
  {
    name: 'etcd leader frozen past every lease',
    async strike({ etcd }, signal) {
      const leader = await etcd.leader();
      etcd.freeze(leader);
      await sleep(PAST_EVERY_LEASE_MS, signal);
      etcd.thaw(leader);
    },
  },
  {
    name: 'etcd quorum frozen past every lease',
    async strike({ etcd }, signal) {
      const leader = await etcd.leader();
      const other = etcd.members.find(member => member !== leader);
      const frozen = other === undefined ? [leader] : [leader, other];
      etcd.freeze(...frozen);
      await sleep(PAST_EVERY_LEASE_MS, signal);
      etcd.thaw(...frozen);
    },
  },
  {
    name: 'all of etcd frozen past every lease',
    async strike({ etcd }, signal) {
      etcd.freeze(...etcd.members);
      await sleep(PAST_EVERY_LEASE_MS, signal);
      etcd.thaw(...etcd.members);
    },
  },
  {
    name: 'all of etcd killed and restarted',
    async strike({ etcd }, signal) {
      await etcd.kill(...etcd.members);
      await sleep(PAUSE_MS, signal);
      await etcd.restart(...etcd.members);
    },
  },
  {
    name: 'etcd compacted while a registry is away',
    async strike({ etcd, processes }, signal) {
      await processes.kill(REGISTRIES[1]);
      await sleep(PAUSE_MS, signal);
      await etcd.compact();
      await processes.restart(REGISTRIES[1]);
    },
  },
  {
    name: 'registries killed in turn, then both',
    async strike({ processes }, signal) {
      for (const names of [[REGISTRIES[0]], [REGISTRIES[1]], REGISTRIES]) {
        await Promise.all(names.map(name => processes.kill(name)));
        await sleep(PAUSE_MS, signal);
        await processes.restart(...names);
      }
    },
  },
  {
    name: 'both registries away past every lease',
    async strike({ processes }, signal) {
      await Promise.all(REGISTRIES.map(name => processes.kill(name)));
      await sleep(PAST_EVERY_LEASE_MS, signal);
      await processes.restart(...REGISTRIES);
    },
  },
  {
    name: 'network cut between an agent and the registries past its lease',
    async strike({ knife }, signal) {
      knife.cut();
      await sleep(PAST_EVERY_LEASE_MS, signal);
      knife.heal();
    },
  },
  {
    name: 'an agent killed, and back within its lease',
    async strike({ processes }) {
      await processes.kill('west/agent');
      await processes.restart('west/agent');
    },
  },
  {
    name: 'an agent killed past its lease',
    async strike({ processes }, signal) {
      await processes.kill('west/agent');
      await sleep(PAST_EVERY_LEASE_MS, signal);
      await processes.restart('west/agent');
    },
  },
  {
    name: 'watch responses dropped, repeated and swapped between etcd and a registry',
    async strike({ belowRegistry }, signal) {
      for (const each of belowRegistry) each.distortion = LIES;
      await sleep(DISTORTED_MS, signal);
      for (const each of belowRegistry) each.distortion = FAITHFUL;
    },
  },
  {
    name: 'watch responses dropped, repeated and swapped between registries and agents',
    async strike({ aboveRegistry }, signal) {
      for (const each of aboveRegistry) each.distortion = LIES;
      await sleep(DISTORTED_MS, signal);
      for (const each of aboveRegistry) each.distortion = FAITHFUL;
    },
  },
];

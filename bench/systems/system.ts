/** What is measured: a set of proxies that stand between a caller and the backend, and what it is given. */

import type { ProcessSpec } from '../../src/cli/demo/processes.ts';
import type { Fleet } from '../../src/cli/fleet.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { Processes } from '../accounting.ts';
import type { Placement } from '../placement.ts';
import type { PeerCredentials, TlsFiles } from './certificates.ts';

/**
 * chain: outbound sidecar, gateway, inbound sidecar. hop: the two sidecars without a gateway.
 * gateway: the gateway alone. inbound: the inbound sidecar alone. authority: an agent alone.
 */
export type Topology = 'chain' | 'hop' | 'gateway' | 'inbound' | 'authority';

/** What one process does on the way. */
export type Role = 'out' | 'gateway' | 'in';

/** Where systems run, beside each other. */
export interface Bed {
  readonly dir: string;
  readonly placement: Placement;
  /** The application behind every system. */
  readonly backend: SocketAddress;
  /** Where a gateway under test sends what it splices: nothing listens until a load generator does. */
  readonly endpoint: SocketAddress;
  /** The server names that every gateway routes by: of requests, and of plain bytes. */
  readonly serverName: string;
  readonly tcpServerName: string;
  readonly peerCredentials: PeerCredentials;
  readonly fleet: Fleet;
  readonly stateDir: (name: string) => string;
  /** On the system's CPU; resolves with its process ID once it is ready. */
  startSystem(spec: ProcessSpec): Promise<number>;
  /** For as long as the work takes, a server at `endpoint` answers each ClientHello and closes. */
  withEndpoint<T>(work: () => Promise<T>): Promise<T>;
  /** Of every process that runs. */
  processIds(): readonly number[];
  close(): Promise<void>;
}

export interface StartedSystem {
  readonly name: string;
  /** Where load goes in: plaintext HTTP for chain and hop, TLS for the others. */
  readonly entry: SocketAddress;
  /** Where plain bytes go in for chain and hop, beside HTTP and through the same processes. */
  readonly tcpEntry?: SocketAddress;
  /** Those that carry load; a control plane is not among them. */
  readonly processes: Processes;
  /** What a caller shows at an inbound sidecar, and whom it trusts there. Absent without proxies. */
  readonly callerTls?: TlsFiles;
  /** An agent's, whose root can make the identities that ask it. */
  readonly authority?: { readonly dir: string; readonly trustDomain: TrustDomain };
}

export interface RunningSystem extends StartedSystem {
  /** Every process, the control plane's too. */
  readonly all: readonly number[];
}

export interface System {
  readonly name: string;
  /** Resolves when the processes run; whether requests come through is asked from outside. */
  start(bed: Bed, topology: Topology): Promise<StartedSystem>;
}

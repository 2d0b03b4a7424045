/** What is measured: a set of proxies that stand between a caller and the backend. */

import type { SocketAddress } from '../../src/mesh/address.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { Processes } from '../accounting.ts';
import type { Bed } from '../bed.ts';
import type { TlsFiles } from './certificates.ts';

/**
 * chain: outbound sidecar, gateway, inbound sidecar. hop: the two sidecars without a gateway.
 * gateway: the gateway alone. inbound: the inbound sidecar alone. authority: an agent alone.
 */
export type Topology = 'chain' | 'hop' | 'gateway' | 'inbound' | 'authority';

export interface RunningSystem {
  readonly name: string;
  /** Where load goes in: plaintext HTTP for chain and hop, TLS for the others. */
  readonly entry: SocketAddress;
  /** Those that carry load; a control plane is not among them. */
  readonly processes: Processes;
  /** What a caller shows at an inbound sidecar, and whom it trusts there. Absent without proxies. */
  readonly callerTls?: TlsFiles;
  /** An agent's, whose root can make the identities that ask it. */
  readonly authority?: { readonly dir: string; readonly trustDomain: TrustDomain };
}

export interface System {
  readonly name: string;
  /** Resolves when the processes run; whether requests come through is asked from outside. */
  start(bed: Bed, topology: Topology): Promise<RunningSystem>;
}

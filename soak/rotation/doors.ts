/**
 * Every proxy as a peer with a certificate meets it: sidecars speak HTTP/2, gateways answer probes. A
 * connection counts as accepted when the other side has answered, since in TLS 1.3 a client is through
 * with its handshake before the server has judged it.
 */

import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { GatewayMember, SidecarMember } from '../../src/cli/fleet.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import type { Svid } from '../../src/trust-federation/identity/svid.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { meshClientTls } from '../../src/trust-federation/peers/tls.ts';
import { dialProbe } from '../../src/trust-federation/probes/peer-probe.ts';

export interface Door {
  /** The proxy's name. */
  readonly name: string;
  /** A full handshake as this peer; undefined when it was refused. */
  open(svid: Svid): Promise<OpenConnection | undefined>;
}

export interface OpenConnection {
  onClose(listener: () => void): void;
  close(): void;
}

const ANSWER_WITHIN_MS = 5_000;

/** `bundle`: of the proxy's own trust domain. */
export function doorOf(proxy: GatewayMember | SidecarMember, bundle: TrustBundle): Door {
  return {
    name: proxy.name,
    open: svid =>
      proxy.component === 'gateway' ? probe(proxy, svid, bundle) : session(proxy, svid, bundle),
  };
}

async function probe(
  { cluster, listen }: GatewayMember,
  svid: Svid,
  bundle: TrustBundle,
): Promise<OpenConnection | undefined> {
  const limits = { withinMs: ANSWER_WITHIN_MS, now: Date.now };
  const dialed = await dialProbe({ cluster, address: listen }, svid, bundle, limits);
  if (dialed.kind === 'failed') return undefined;
  const pinged = await dialed.connection.ping(ANSWER_WITHIN_MS);
  return pinged.kind === 'answered' ? dialed.connection : undefined;
}

function session(
  { inbound }: SidecarMember,
  svid: Svid,
  bundle: TrustBundle,
): Promise<OpenConnection | undefined> {
  return new Promise(resolve => {
    const tls = connectTls({
      ...meshClientTls(svid, bundle, anyIdentity, Date.now),
      ...inbound,
      ALPNProtocols: ['h2'],
    });
    const client = connectHttp2('https://sidecar.invalid', { createConnection: () => tls });
    const deadline = setTimeout(() => client.destroy(), ANSWER_WITHIN_MS);
    client.on('error', () => undefined);
    client.once('close', () => {
      clearTimeout(deadline);
      resolve(undefined);
    });
    client.once('remoteSettings', () => {
      clearTimeout(deadline);
      resolve({
        onClose: listener => void client.once('close', listener),
        close: () => client.destroy(),
      });
    });
  });
}

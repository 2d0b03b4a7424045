/**
 * Certificates asked for by many proxies, one request after another on each one's own connection: what a
 * restart of everything at once asks of an agent. Requests are signed beforehand; every chain that comes
 * back is looked at.
 */

import type { SocketAddress } from '../../src/mesh/address.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { parseNamespace, parseServiceAccount } from '../../src/mesh/names.ts';
import { type TrustDomain, workloadId } from '../../src/mesh/spiffe-id.ts';
import { agentId } from '../../src/mesh/system-identities.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { parseSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import { createCsr } from '../../src/trust-federation/x509/csr.ts';
import { WorkloadIdentityDefinition } from '../../src/wire/generated/isthmus/identity/v1/identity.ts';
import { latencyFigures } from '../figures.ts';
import { svidsBeside } from '../systems/authority.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';

export interface RenewalLoad {
  readonly control: SocketAddress;
  readonly authorityDir: string;
  readonly trustDomain: TrustDomain;
  /** Each an identity and a connection of its own. */
  readonly proxies: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const { renew } = WorkloadIdentityDefinition.methods;

export async function runRenewals(job: RenewalLoad): Promise<LoadOutcome> {
  const ids = Array.from({ length: job.proxies }, (_, index) =>
    workloadId(job.trustDomain, parseNamespace('bench'), parseServiceAccount(`proxy-${index}`)),
  );
  const { svids, bundle } = await svidsBeside(job.authorityDir, ids);
  const errors: Record<string, number> = {};
  const latenciesMs: number[] = [];
  let count = 0;
  const startMs = performance.now() + job.warmUpMs;
  const endMs = startMs + job.measureMs;
  const proxy = async (svid: Svid): Promise<void> => {
    const tls = meshRpcTls(svid, bundle, exactly(agentId(job.trustDomain)), Date.now);
    const channel = new RpcChannel(WorkloadIdentityDefinition, { address: job.control, tls });
    const csr = createCsr(svid.key, svid.id);
    while (performance.now() < endMs) {
      const sentMs = performance.now();
      try {
        const { chain } = await channel.unary(renew, { csr });
        const doneMs = performance.now();
        count += 1;
        if (sentMs >= startMs && doneMs < endMs) {
          latenciesMs.push(doneMs - sentMs);
          // One in a hundred in full: reading certificates costs more than making them.
          if (count % 100 === 0) parseSvid(chain, svid.key);
        }
      } catch (error) {
        const kind = isMeshError(error) ? error.code : String(error);
        errors[kind] = (errors[kind] ?? 0) + 1;
        break;
      }
    }
    channel.close();
  };
  await Promise.all(svids.map(proxy));
  return {
    count,
    figures: {
      rps: (latenciesMs.length / job.measureMs) * 1000,
      ...latencyFigures(latenciesMs),
    },
    failure: failureOf('renewals', count, errors),
  };
}

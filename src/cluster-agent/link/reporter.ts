/**
 * Tells the agent what this proxy serves and verifies with, every REPORT_INTERVAL_MS and when its SVID
 * or a bundle changes; and renews the SVID when the agent says that it has to go.
 *
 * A report that fails is dropped: the next one says all of it again. Nothing here touches a request.
 */

import { createHash } from 'node:crypto';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection, ObservableInput } from '../../mesh/collection.ts';
import { isMeshError } from '../../mesh/errors.ts';
import type { WorkloadName } from '../../mesh/names.ts';
import type { PathEvidence } from '../../mesh/path.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import { agentId } from '../../mesh/system-identities.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { RpcChannel } from '../../runtime/rpc-client.ts';
import type { IdentityKeeper } from '../../trust-federation/identity/identity-keeper.ts';
import { exactly } from '../../trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../trust-federation/peers/tls.ts';
import {
  type ProxyReport,
  ProxyReportsDefinition,
  type ServiceLoad as ServiceLoadMessage,
} from '../../wire/generated/isthmus/agent/v1/report.ts';
import { REPORT_INTERVAL_MS, REPORT_LOADS_MAX, REPORT_PATHS_MAX } from '../limits.ts';
import { formatPath } from '../proxies/path-report.ts';
import type { ServiceLoad } from '../proxies/proxy-reports.ts';
import { Signal } from '../signal.ts';

export interface ReporterOptions {
  readonly proxy: WorkloadName;
  readonly control: SocketAddress;
  readonly identity: IdentityKeeper;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly log: Logger;
  readonly now: () => number;
}

export class Reporter {
  readonly name = 'reporter';
  readonly #options: ReporterOptions;
  readonly #changed = new Signal();
  #channel: RpcChannel | undefined;
  #loads: () => readonly ServiceLoad[] = () => [];
  #paths: () => readonly PathEvidence[] = () => [];

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Asked for at each report. */
  reportLoads(loads: () => readonly ServiceLoad[]): void {
    this.#loads = loads;
  }

  reportPaths(evidence: () => readonly PathEvidence[], changes: ObservableInput): void {
    this.#paths = evidence;
    changes.observe(() => this.#changed.raise());
  }

  async run(signal: AbortSignal): Promise<void> {
    const { identity, bundles } = this.#options;
    // The channel's certificate is fixed when it is dialled.
    const redial = (): void => {
      this.#hangUp();
      this.#changed.raise();
    };
    const stops = [identity.observe(redial), bundles.observe(redial)];
    try {
      while (!signal.aborted) {
        await this.#report(signal);
        await this.#changed.wait(signal, REPORT_INTERVAL_MS);
      }
    } finally {
      for (const stop of stops) stop();
      this.#hangUp();
    }
  }

  async #report(signal: AbortSignal): Promise<void> {
    const { identity, log } = this.#options;
    this.#channel ??= this.#dial();
    const { report } = ProxyReportsDefinition.methods;
    try {
      const { renewSvid } = await this.#channel.unary(report, this.#message(), { signal });
      if (renewSvid) identity.renewNow();
    } catch (error) {
      if (!isMeshError(error)) throw error;
      if (!signal.aborted) log.debug({ error }, 'report not delivered');
      this.#hangUp();
    }
  }

  #message(): ProxyReport {
    const { proxy, identity, bundles, now } = this.#options;
    const svid = identity.current();
    // A chain without intermediates was signed by the root itself, whose hash is of no use to anyone.
    const issuer = svid.chain[1] ?? svid.chain[0] ?? new Uint8Array();
    return {
      proxy,
      svid: {
        issuerSha256: createHash('sha256').update(issuer).digest(),
        notAfterMs: BigInt(svid.notAfterMs),
      },
      bundles: [...bundles.entries().values()].map(({ trustDomain, sequence }) => ({
        trustDomain,
        sequence: BigInt(sequence),
      })),
      loads: this.#loads().slice(0, REPORT_LOADS_MAX).map(formatLoad),
      paths: this.#paths()
        .slice(0, REPORT_PATHS_MAX)
        .map(path => formatPath(path, now())),
    };
  }

  #dial(): RpcChannel {
    const { control, identity, bundles, now } = this.#options;
    const svid = identity.current();
    const roots = bundles.get(svid.trustDomain);
    if (roots === undefined) throw new Error('no roots of our own trust domain');
    const tls = meshRpcTls(svid, roots, exactly(agentId(svid.trustDomain)), now);
    return new RpcChannel(ProxyReportsDefinition, { address: control, tls });
  }

  #hangUp(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}

function formatLoad({ service, inFlight }: ServiceLoad): ServiceLoadMessage {
  const [namespace = '', name = ''] = service.split('/');
  return { namespace, service: name, inFlight };
}

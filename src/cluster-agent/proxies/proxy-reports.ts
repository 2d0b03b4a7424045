/**
 * What the proxies of this cluster say of themselves: which certificate they serve, which bundles they
 * verify with. What was sent to them is in `xds/proxies.ts`; this is what they did with it.
 */

import { type Collection, Table } from '../../mesh/collection.ts';
import { MeshError } from '../../mesh/errors.ts';
import {
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
  type ServiceKey,
  serviceKey,
  type WorkloadName,
} from '../../mesh/names.ts';
import type { PathEvidence } from '../../mesh/path.ts';
import { parseTrustDomain, type SpiffeId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import {
  type ProxyReport as ProxyReportMessage,
  ProxyReportsDefinition,
  type ServiceLoad as ServiceLoadMessage,
} from '../../wire/generated/isthmus/agent/v1/report.ts';
import { PROXIES_MAX, REPORT_BUNDLES_MAX, REPORT_LOADS_MAX, REPORT_PATHS_MAX } from '../limits.ts';
import { peerIdOf } from '../peer.ts';
import { parsePath } from './path-report.ts';

export interface ProxyReport {
  readonly proxy: WorkloadName;
  readonly spiffeId: SpiffeId;
  readonly atMs: number;
  readonly svid: {
    /** SHA-256 of the signing certificate, hex. */
    readonly issuerSha256: string;
    readonly notAfterMs: number;
  };
  /** Trust domain → sequence of the bundle it verifies with. */
  readonly bundles: Readonly<Record<TrustDomain, number>>;
  /** What it knows of the ways to other clusters that it has tried. */
  readonly paths: readonly PathEvidence[];
  /** Requests in flight at its application, on average since the report before. */
  readonly loads: readonly ServiceLoad[];
}

export interface ServiceLoad {
  readonly service: ServiceKey;
  readonly inFlight: number;
}

/** `<SPIFFE ID> <proxy name>`: names are claimed, identities proven. */
export type ProxyKey = string;

export interface ProxyReportsOptions {
  /** Whether the SVID a proxy serves has to be replaced now. */
  readonly mustRenew: (report: ProxyReport) => boolean;
  /** By a process that has proven that it uses this certificate, DER. */
  readonly onReport: (report: ProxyReport, certificate: Buffer) => void;
  readonly now: () => number;
}

export class ProxyReports {
  readonly #options: ProxyReportsOptions;
  readonly #reports = new Table<ProxyKey, ProxyReport>('proxy-reports');

  constructor(options: ProxyReportsOptions) {
    this.#options = options;
  }

  get reports(): Collection<ProxyKey, ProxyReport> {
    return this.#reports;
  }

  /** For the control port. */
  service(): RpcService {
    return rpcService(ProxyReportsDefinition, {
      report: async (message, { peerCertificate }) => {
        const report = this.#read(message, peerIdOf(peerCertificate));
        if (peerCertificate !== undefined) this.#options.onReport(report, peerCertificate);
        this.#keep(report);
        return { renewSvid: this.#options.mustRenew(report) };
      },
    });
  }

  #read(message: ProxyReportMessage, spiffeId: SpiffeId): ProxyReport {
    const { svid, bundles, paths } = message;
    const atMs = this.#options.now();
    if (svid === undefined) throw new MeshError('REQUEST_INVALID', 'report has no svid');
    if (bundles.length > REPORT_BUNDLES_MAX) {
      throw new MeshError(
        'LIMIT_EXCEEDED',
        `${bundles.length} bundles in one report; use at most ${REPORT_BUNDLES_MAX}`,
      );
    }
    if (message.loads.length > REPORT_LOADS_MAX) {
      throw new MeshError(
        'LIMIT_EXCEEDED',
        `${message.loads.length} loads in one report; use at most ${REPORT_LOADS_MAX}`,
      );
    }
    if (paths.length > REPORT_PATHS_MAX) {
      throw new MeshError(
        'LIMIT_EXCEEDED',
        `${paths.length} paths in one report; use at most ${REPORT_PATHS_MAX}`,
      );
    }
    return {
      proxy: parseWorkloadName(message.proxy),
      spiffeId,
      atMs,
      svid: {
        issuerSha256: svid.issuerSha256.toString('hex'),
        notAfterMs: Number(svid.notAfterMs),
      },
      bundles: Object.fromEntries(
        bundles.map(({ trustDomain, sequence }) => [
          parseTrustDomain(trustDomain),
          Number(sequence),
        ]),
      ),
      loads: message.loads.map(readLoad),
      paths: paths.map(path => parsePath(path, atMs)),
    };
  }

  /** When full, the one that has been silent longest makes room. */
  #keep(report: ProxyReport): void {
    const key = `${report.spiffeId} ${report.proxy}`;
    const known = this.#reports.entries();
    if (!known.has(key) && known.size >= PROXIES_MAX) {
      const [oldest] = [...known].sort(([, a], [, b]) => a.atMs - b.atMs);
      if (oldest !== undefined) this.#reports.delete(oldest[0]);
    }
    this.#reports.put(key, report);
  }
}

function readLoad({ namespace, service, inFlight }: ServiceLoadMessage): ServiceLoad {
  if (!(inFlight >= 0 && Number.isFinite(inFlight))) {
    throw new MeshError('REQUEST_INVALID', `in_flight "${inFlight}" must be a number from 0 up`);
  }
  return { service: serviceKey(parseNamespace(namespace), parseServiceName(service)), inFlight };
}

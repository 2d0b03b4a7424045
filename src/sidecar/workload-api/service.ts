/**
 * The SPIFFE Workload API (SPIFFE_Workload_API.md): the workload's identity for other software beside this
 * sidecar, with the sidecar's own SVID and bundles as they are at each moment.
 *
 * Streams answer at once and again on every rotation. Who may open the socket has the identity, private
 * key included; the header that the specification asks for only keeps out clients that were tricked into
 * connecting.
 */

import type { Collection } from '../../mesh/collection.ts';
import { MeshError } from '../../mesh/errors.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { type CallContext, type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import { verifyJwtSvid } from '../../trust-federation/identity/jwt-svid.ts';
import type { SvidSource } from '../../trust-federation/identity/svid.ts';
import { formatBundleDocument } from '../../wire/bundle-document.ts';
import {
  SpiffeWorkloadAPIDefinition,
  type X509SVIDResponse,
} from '../../wire/generated/spiffe/workload/workload.ts';
import { latest } from './latest.ts';

export interface WorkloadApiOptions {
  readonly identity: SvidSource;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly jwtSvid: (audience: readonly string[]) => Promise<string>;
  readonly now: () => number;
}

const SECURITY_HEADER = 'workload.spiffe.io';

export function workloadApiService(options: WorkloadApiOptions): RpcService {
  const { identity, bundles, jwtSvid, now } = options;
  const trustBundles = (): readonly TrustBundle[] => [...bundles.entries().values()];
  return rpcService(SpiffeWorkloadAPIDefinition, {
    async *fetchX509SVID(_, context) {
      requireHeader(context);
      yield* latest([identity, bundles], () => x509Svid(options), context.signal);
    },
    async *fetchX509Bundles(_, context) {
      requireHeader(context);
      const read = () => ({ crl: [], bundles: byId(trustBundles(), rootsOf) });
      yield* latest([bundles], read, context.signal);
    },
    async *fetchJWTBundles(_, context) {
      requireHeader(context);
      const read = () => ({ bundles: byId(trustBundles(), jwtKeysOf) });
      yield* latest([bundles], read, context.signal);
    },
    async fetchJWTSVID({ audience, spiffeId }, context) {
      requireHeader(context);
      const { id } = identity.current();
      if (audience.length === 0) throw invalid('a JWT-SVID needs an audience');
      if (spiffeId !== '' && spiffeId !== id) {
        const asked = JSON.stringify(spiffeId.slice(0, 200));
        throw new MeshError('PERMISSION_DENIED', `${asked} is not this workload; it is "${id}"`);
      }
      return { svids: [{ spiffeId: id, svid: await jwtSvid(audience), hint: '' }] };
    },
    async validateJWTSVID({ audience, svid }, context) {
      requireHeader(context);
      const verdict = verifyJwtSvid(svid, audience, bundles, now());
      if (verdict.kind === 'refused') throw invalid(verdict.message);
      return Promise.resolve({ spiffeId: verdict.id, claims: verdict.claims });
    },
  });
}

function x509Svid({ identity, bundles }: WorkloadApiOptions): X509SVIDResponse {
  const { id, trustDomain, chain, key } = identity.current();
  const own = bundles.get(trustDomain);
  const others = [...bundles.entries().values()].filter(each => each.trustDomain !== trustDomain);
  return {
    svids: [
      {
        spiffeId: id,
        x509Svid: Buffer.concat(chain),
        x509SvidKey: key.export({ type: 'pkcs8', format: 'der' }),
        bundle: own === undefined ? Buffer.alloc(0) : rootsOf(own),
        hint: '',
      },
    ],
    crl: [],
    federatedBundles: byId(others, rootsOf),
  };
}

/** Keyed by the trust domain's SPIFFE ID. */
function byId(
  bundles: readonly TrustBundle[],
  encode: (bundle: TrustBundle) => Buffer,
): Record<string, Buffer> {
  return Object.fromEntries(
    bundles.map(bundle => [`spiffe://${bundle.trustDomain}`, encode(bundle)]),
  );
}

function rootsOf({ x509Authorities }: TrustBundle): Buffer {
  return Buffer.concat(x509Authorities);
}

function jwtKeysOf(bundle: TrustBundle): Buffer {
  return Buffer.from(formatBundleDocument({ ...bundle, x509Authorities: [] }));
}

/** SPIFFE Workload Endpoint §4.2: against requests forged through a program that only forwards bytes. */
function requireHeader({ header }: CallContext): void {
  if (header(SECURITY_HEADER) !== 'true')
    throw invalid(`header "${SECURITY_HEADER}: true" missing`);
}

function invalid(message: string): MeshError {
  return new MeshError('REQUEST_INVALID', message);
}

/** The certificates behind this cluster's trust, for `isthmus trust show|check|export|import`. */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import { importedRoot } from '../../trust-federation/authority/imported-root.ts';
import type { OwnBundle } from '../../trust-federation/bundles/own-bundle.ts';
import type { SvidSource } from '../../trust-federation/identity/svid.ts';
import { parseCertificate } from '../../trust-federation/x509/parsed-certificate.ts';
import { formatBundleDocument } from '../../wire/bundle-document.ts';
import { TrustMaterialDefinition } from '../../wire/generated/isthmus/operator/v1/trust_material.ts';
import type { Members } from '../registry/members.ts';
import type { ExpiringThing } from './expiry-watch.ts';
import type { RolloverRunner } from './rollover.ts';
import { formatReport } from './rollover-service.ts';

export interface TrustMaterialOptions {
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly agent: SvidSource;
  readonly membership: SvidSource;
  readonly ownBundle: Pick<OwnBundle, 'current'>;
  readonly members: Pick<Members, 'bundles'>;
  readonly rollover: RolloverRunner;
  readonly now: () => number;
}

export function trustMaterialService(options: TrustMaterialOptions): RpcService {
  const { cluster, trustDomain, agent, membership, rollover, now } = options;
  return rpcService(TrustMaterialDefinition, {
    describeMaterial: () =>
      Promise.resolve({
        cluster,
        trustDomain,
        agentChain: [...agent.current().chain],
        membershipChain: [...membership.current().chain],
        bundles: bundlesOf(options).map(bundle => ({
          trustDomain: bundle.trustDomain,
          document: Buffer.from(formatBundleDocument(bundle)),
        })),
      }),
    importRoot: async ({ root, intermediate, key, auto }) => {
      const imported = importedRoot(
        {
          root,
          ...(intermediate.length === 0 ? {} : { intermediate }),
          key: keyIn(key),
        },
        trustDomain,
        now(),
      );
      await rollover.import(imported, auto);
      return formatReport(rollover.report());
    },
  });
}

/** What `isthmus trust check` and the expiry alarms look at. */
export function expiringThings(options: TrustMaterialOptions): readonly ExpiringThing[] {
  const { trustDomain, membership } = options;
  const { id, notAfterMs } = membership.current();
  return [
    { kind: 'membership', what: id, notAfterMs },
    ...bundlesOf(options).flatMap(bundle => rootsIn(bundle, bundle.trustDomain === trustDomain)),
  ];
}

function rootsIn({ trustDomain, x509Authorities }: TrustBundle, own: boolean): ExpiringThing[] {
  return x509Authorities.map(der => {
    const { x509, notAfterMs } = parseCertificate(der);
    const what = `root ${x509.fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase()} of ${trustDomain}`;
    return { kind: own ? 'root' : 'foreign-root', what, notAfterMs };
  });
}

function bundlesOf({ ownBundle, members }: TrustMaterialOptions): readonly TrustBundle[] {
  return [ownBundle.current(), ...members.bundles.entries().values()];
}

function keyIn(der: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', 'the key cannot be read', { cause });
  }
}

/**
 * Who trusts whom: the certificates behind each cluster's trust as its agent has them, and what is wrong
 * with them. Asked of every agent over its operator socket; one that does not answer is a finding.
 */

import { createHash } from 'node:crypto';
import { isMeshError, messageOf } from '../mesh/errors.ts';
import { EXPIRES_SOON_MS, expiryStage } from '../mesh/expiry.ts';
import { parseTrustDomain, type TrustDomain } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import { subjectOf } from '../trust-federation/peers/chain-rules.ts';
import {
  type ParsedCertificate,
  parseCertificate,
} from '../trust-federation/x509/parsed-certificate.ts';
import { parseBundleDocument } from '../wire/bundle-document.ts';
import {
  type DescribeMaterialResponse,
  TrustMaterialDefinition,
} from '../wire/generated/isthmus/operator/v1/trust_material.ts';
import type { AgentMember, Fleet } from './fleet.ts';
import { sortSilent } from './not-running.ts';
import { operatorChannel } from './operator.ts';

export interface TrustReport {
  readonly clusters: readonly ClusterTrust[];
  readonly problems: readonly TrustProblem[];
  /** Configured clusters whose agents do not run and of which no other agent has heard. */
  readonly notRunning: readonly string[];
}

export interface ClusterTrust {
  readonly cluster: string;
  readonly trustDomain: TrustDomain;
  /** Leaf first. */
  readonly agentChain: readonly CertificateFacts[];
  readonly membershipChain: readonly CertificateFacts[];
  readonly bundles: readonly BundleFacts[];
}

export interface CertificateFacts {
  readonly sha256: string;
  readonly name: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface BundleFacts {
  readonly trustDomain: TrustDomain;
  readonly sequence: number;
  readonly roots: readonly CertificateFacts[];
  readonly jwtKeys: readonly string[];
  readonly revoked: number;
}

export interface TrustProblem {
  readonly cluster: string;
  readonly kind: 'unreachable' | 'expired' | 'expires-soon' | 'behind' | 'mismatch' | 'unknown';
  readonly message: string;
}

export async function gatherTrust(fleet: Fleet, nowMs: number): Promise<TrustReport> {
  const answers = await Promise.all(
    fleet.clusters.map(async ({ name, agent }): Promise<ClusterTrust | Silent> => {
      try {
        return factsOf(await askMaterial(agent));
      } catch (error) {
        if (!isMeshError(error)) throw error;
        const { trustDomain } = agent;
        return { cluster: name, trustDomain, kind: 'unreachable', message: messageOf(error) };
      }
    }),
  );
  const clusters = answers.filter(answer => 'bundles' in answer);
  const heardOf = clusters.flatMap(({ bundles }) => bundles.map(bundle => bundle.trustDomain));
  const { missed, notRunning } = sortSilent(
    answers.filter(answer => 'kind' in answer),
    heardOf,
  );
  return { clusters, problems: [...missed, ...judgeTrust(clusters, nowMs)], notRunning };
}

interface Silent extends TrustProblem {
  readonly trustDomain: string;
}

/** Throws PEER_UNAVAILABLE. */
export async function askMaterial(agent: AgentMember): Promise<DescribeMaterialResponse> {
  const channel = await operatorChannel(agent, TrustMaterialDefinition);
  try {
    return await channel.unary(TrustMaterialDefinition.methods.describeMaterial, {});
  } finally {
    channel.close();
  }
}

/** The bundle that the agent has of its own trust domain. */
export function ownBundleIn({ trustDomain, bundles }: DescribeMaterialResponse): TrustBundle {
  const own = bundles.find(held => held.trustDomain === trustDomain);
  if (own === undefined) throw new Error('an agent has a bundle of its own');
  return parseBundleDocument(own.document, parseTrustDomain(trustDomain));
}

function factsOf(answer: DescribeMaterialResponse): ClusterTrust {
  const factsOfChain = (chain: readonly Buffer[]): CertificateFacts[] =>
    chain.map(der => certificateFacts(parseCertificate(der)));
  return {
    cluster: answer.cluster,
    trustDomain: parseTrustDomain(answer.trustDomain),
    agentChain: factsOfChain(answer.agentChain),
    membershipChain: factsOfChain(answer.membershipChain),
    bundles: answer.bundles.map(({ trustDomain, document }) => {
      const bundle = parseBundleDocument(document, parseTrustDomain(trustDomain));
      return {
        trustDomain: bundle.trustDomain,
        sequence: bundle.sequence,
        roots: bundle.x509Authorities.map(der => certificateFacts(parseCertificate(der))),
        jwtKeys: bundle.jwtAuthorities.map(({ keyId }) => keyId),
        revoked: bundle.revoked.length,
      };
    }),
  };
}

/** Pure. What ends within 30 days, what has ended, and where two clusters see one bundle differently. */
export function judgeTrust(clusters: readonly ClusterTrust[], nowMs: number): TrustProblem[] {
  return clusters.flatMap(each => [...endings(each, nowMs), ...differences(each, clusters)]);
}

function endings(
  { cluster, trustDomain, agentChain, membershipChain, bundles }: ClusterTrust,
  nowMs: number,
): TrustProblem[] {
  const own = bundles.find(bundle => bundle.trustDomain === trustDomain);
  const judge = (what: string, certificates: readonly CertificateFacts[], soonMs: number) =>
    certificates.flatMap((certificate): TrustProblem[] => {
      const { notAfterMs, sha256 } = certificate;
      if (notAfterMs - nowMs > soonMs) return [];
      const kind = expiryStage(notAfterMs, nowMs) === 'expired' ? 'expired' : 'expires-soon';
      const when = new Date(notAfterMs).toISOString();
      const message = `${what} ${sha256.slice(0, 16)} ${kind === 'expired' ? 'expired' : 'expires'} at ${when}`;
      return [{ cluster, kind, message }];
    });
  const [agent, ...issuers] = agentChain;
  return [
    ...judge(`root of ${trustDomain}`, own?.roots ?? [], EXPIRES_SOON_MS),
    // Renewed by itself, so near its end is normal; past it is not.
    ...judge('issuer', issuers, 0),
    ...judge("agent's certificate", agent === undefined ? [] : [agent], 0),
    ...judge('membership', membershipChain, EXPIRES_SOON_MS),
  ];
}

function differences(of: ClusterTrust, clusters: readonly ClusterTrust[]): TrustProblem[] {
  const { cluster, trustDomain } = of;
  return clusters.flatMap((owner): TrustProblem[] => {
    if (owner.trustDomain === trustDomain) return [];
    const truth = owner.bundles.find(bundle => bundle.trustDomain === owner.trustDomain);
    const held = of.bundles.find(bundle => bundle.trustDomain === owner.trustDomain);
    if (truth === undefined) return [];
    const problem = (kind: TrustProblem['kind'], message: string): TrustProblem[] => [
      { cluster, kind, message },
    ];
    if (held === undefined) {
      return problem('unknown', `has no bundle of ${owner.trustDomain} and trusts nobody there`);
    }
    if (held.sequence < truth.sequence) {
      const found = `${held.sequence} of ${owner.trustDomain}; ${owner.cluster} has ${truth.sequence}`;
      return problem('behind', `has bundle ${found}`);
    }
    const isSame = rootsText(held) === rootsText(truth) && held.sequence === truth.sequence;
    if (isSame) return [];
    return problem(
      'mismatch',
      `has another bundle ${held.sequence} of ${owner.trustDomain} than ${owner.cluster} itself`,
    );
  });
}

function rootsText({ roots }: BundleFacts): string {
  return roots
    .map(({ sha256 }) => sha256)
    .sort()
    .join(' ');
}

function certificateFacts(certificate: ParsedCertificate): CertificateFacts {
  const { der, uris, notBeforeMs, notAfterMs } = certificate;
  return {
    sha256: createHash('sha256').update(der).digest('hex'),
    name: uris[0] ?? subjectOf(certificate),
    notBeforeMs,
    notAfterMs,
  };
}

/**
 * Envoy clusters. A sidecar's carries what travels on the port, who may answer for it (exact URI SANs)
 * and how calls are spread and timed; a gateway's is only a name, because a gateway forwards bytes it
 * cannot read. Endpoints come by EDS in both.
 */

import type { Protocol } from '../../mesh/service.ts';
import { parseSpiffeId, type SpiffeId } from '../../mesh/spiffe-id.ts';
import {
  DEFAULT_POLICY,
  parseUpstreamName,
  type UpstreamName,
  type UpstreamPolicy,
} from '../../mesh/upstream.ts';
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from '../generated/envoy/config/cluster/v3/cluster.ts';
import type { TransportSocket } from '../generated/envoy/config/core/v3/base.ts';
import { ApiVersion, type ConfigSource } from '../generated/envoy/config/core/v3/config_source.ts';
import {
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType,
} from '../generated/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { UpstreamTlsContext } from '../generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { formatMetadata, metadataNumber, metadataReader } from './metadata.ts';
import { encodeMessage, FieldError, pack, parseResource, required, unpack } from './resource.ts';
import { BUNDLES_SECRET } from './secret.ts';

export type XdsCluster =
  | {
      readonly kind: 'upstream';
      readonly name: UpstreamName;
      readonly protocol: Protocol;
      readonly policy: UpstreamPolicy;
      /** The SPIFFE IDs that may answer; sorted, without duplicates. */
      readonly identities: readonly SpiffeId[];
    }
  | { readonly kind: 'passthrough'; readonly name: string };

const TLS_SOCKET = 'envoy.transport_sockets.tls';
const TLS_CONTEXT_URL =
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const VIA_ADS: ConfigSource = {
  configSourceSpecifier: { $case: 'ads', value: {} },
  resourceApiVersion: ApiVersion.V3,
};

const LB_POLICY = {
  'round-robin': Cluster_LbPolicy.ROUND_ROBIN,
  'least-request': Cluster_LbPolicy.LEAST_REQUEST,
} as const;
const PASSTHROUGH: Cluster = {
  name: '',
  clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.EDS },
  edsClusterConfig: { edsConfig: VIA_ADS },
  lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
  outlierDetection: undefined,
  commonLbConfig: undefined,
  transportSocket: undefined,
  metadata: undefined,
};

export function formatCluster(cluster: XdsCluster): Buffer {
  const { name } = cluster;
  if (cluster.kind === 'passthrough') return encodeMessage(Cluster, { ...PASSTHROUGH, name });
  const { protocol, identities, policy } = cluster;
  return encodeMessage(Cluster, {
    ...PASSTHROUGH,
    name,
    lbPolicy: LB_POLICY[policy.balancing],
    outlierDetection: {
      consecutive5xx: policy.ejectAfterFailures,
      maxEjectionPercent: policy.ejectedPercentMax,
    },
    commonLbConfig: { healthyPanicThreshold: { value: policy.panicBelowPercent } },
    transportSocket: tlsSocket(identities),
    metadata: formatMetadata({
      protocol,
      timeout_ms: policy.timeoutMs,
      try_timeout_ms: policy.tryTimeoutMs,
    }),
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseCluster(bytes: Uint8Array): XdsCluster {
  return parseResource(
    'cluster',
    Cluster,
    bytes,
    m => m.name,
    message => {
      const { name } = message;
      if (message.clusterDiscoveryType?.value !== Cluster_DiscoveryType.EDS) {
        throw new FieldError('type', 'must be EDS');
      }
      if (message.transportSocket === undefined) {
        if (name === '') throw new FieldError('name', 'missing');
        return { kind: 'passthrough', name };
      }
      if (parseUpstreamName(name) === undefined) {
        throw new FieldError('name', 'must be outbound|<port>||<host>');
      }
      const protocol = metadataReader(message.metadata, 'metadata')('protocol');
      if (protocol !== 'http' && protocol !== 'tcp') {
        throw new FieldError('metadata.isthmus.protocol', 'must be http or tcp');
      }
      const identities = readIdentities(message.transportSocket);
      const policy = readPolicy(message);
      return { kind: 'upstream', name: name as UpstreamName, protocol, policy, identities };
    },
  );
}

/** What an older agent did not say is as it was then. */
function readPolicy(message: Cluster): UpstreamPolicy {
  const { outlierDetection, commonLbConfig, metadata, lbPolicy } = message;
  const balancing = BALANCINGS.find(each => LB_POLICY[each] === lbPolicy);
  if (balancing === undefined) {
    throw new FieldError('lb_policy', 'must be ROUND_ROBIN or LEAST_REQUEST');
  }
  return {
    balancing,
    panicBelowPercent: percent(
      'common_lb_config.healthy_panic_threshold.value',
      commonLbConfig?.healthyPanicThreshold?.value ?? DEFAULT_POLICY.panicBelowPercent,
    ),
    ejectedPercentMax: percent(
      'outlier_detection.max_ejection_percent',
      outlierDetection?.maxEjectionPercent ?? DEFAULT_POLICY.ejectedPercentMax,
    ),
    ejectAfterFailures: outlierDetection?.consecutive5xx ?? DEFAULT_POLICY.ejectAfterFailures,
    timeoutMs: metadataNumber(metadata, 'metadata', 'timeout_ms') ?? DEFAULT_POLICY.timeoutMs,
    tryTimeoutMs:
      metadataNumber(metadata, 'metadata', 'try_timeout_ms') ?? DEFAULT_POLICY.tryTimeoutMs,
  };
}

const BALANCINGS = ['round-robin', 'least-request'] as const;

function percent(path: string, value: number): number {
  if (value >= 0 && value <= 100) return value;
  throw new FieldError(path, 'must be 0 to 100');
}

function tlsSocket(identities: readonly SpiffeId[]): TransportSocket {
  const context: UpstreamTlsContext = {
    commonTlsContext: {
      validationContextType: {
        $case: 'combinedValidationContext',
        value: {
          defaultValidationContext: {
            matchTypedSubjectAltNames: identities.map(sanMatcher),
            customValidatorConfig: undefined,
          },
          validationContextSdsSecretConfig: { name: BUNDLES_SECRET, sdsConfig: VIA_ADS },
        },
      },
    },
  };
  return {
    name: TLS_SOCKET,
    configType: {
      $case: 'typedConfig',
      value: pack(TLS_CONTEXT_URL, UpstreamTlsContext, context),
    },
  };
}

function sanMatcher(id: SpiffeId): SubjectAltNameMatcher {
  return {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: { $case: 'exact', value: id } },
  };
}

function readIdentities(socket: TransportSocket): SpiffeId[] {
  const any = socket.configType?.value;
  const path = 'transport_socket.typed_config';
  const context = unpack(any, TLS_CONTEXT_URL, UpstreamTlsContext, path);
  const combined = required(
    context.commonTlsContext?.validationContextType,
    `${path}.common_tls_context.combined_validation_context`,
  ).value;
  const matchers = combined.defaultValidationContext?.matchTypedSubjectAltNames ?? [];
  return matchers.map((matcher, i) => {
    const field = `${path}.match_typed_subject_alt_names[${i}]`;
    if (matcher.sanType !== SubjectAltNameMatcher_SanType.URI) {
      throw new FieldError(field, 'must be of type URI');
    }
    const pattern = required(matcher.matcher?.matchPattern, `${field}.exact`);
    if (pattern.$case !== 'exact') throw new FieldError(`${field}.exact`, 'missing');
    const id = parseSpiffeId(pattern.value);
    if (id.kind === 'invalid') throw new FieldError(`${field}.exact`, id.reason);
    return id.id;
  });
}

/**
 * The gateway's listener: a filter chain per exported service port, matched by server name (the
 * service's and, with a wildcard, its endpoints'), that passes bytes on to a cluster. There is no
 * default chain: a name that is not listed leads nowhere.
 */

import { Listener } from '../generated/envoy/config/listener/v3/listener.ts';
import type { FilterChain } from '../generated/envoy/config/listener/v3/listener_components.ts';
import { TcpProxy } from '../generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { parseSni } from '../sni.ts';
import { encodeMessage, FieldError, pack, parseResource, required, unpack } from './resource.ts';

export const GATEWAY_LISTENER = 'east-west';

const TCP_PROXY = 'envoy.filters.network.tcp_proxy';
const TCP_PROXY_URL = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

/** A service-level server name and the cluster it leads to. */
export interface GatewayChain {
  readonly sni: string;
  readonly cluster: string;
}

export function formatGatewayListener(chains: readonly GatewayChain[]): Buffer {
  return encodeMessage(Listener, {
    name: GATEWAY_LISTENER,
    filterChains: chains.map(formatChain),
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseGatewayListener(bytes: Uint8Array): GatewayChain[] {
  return parseResource(
    'listener',
    Listener,
    bytes,
    m => m.name,
    message => message.filterChains.map(readChain),
  );
}

function formatChain({ sni, cluster }: GatewayChain): FilterChain {
  const proxy: TcpProxy = {
    statPrefix: sni,
    clusterSpecifier: { $case: 'cluster', value: cluster },
  };
  const typedConfig = pack(TCP_PROXY_URL, TcpProxy, proxy);
  return {
    filterChainMatch: { serverNames: [sni, `*.${sni}`] },
    filters: [{ name: TCP_PROXY, configType: { $case: 'typedConfig', value: typedConfig } }],
  };
}

function readChain(chain: FilterChain, i: number): GatewayChain {
  const path = `filter_chains[${i}]`;
  const names = chain.filterChainMatch?.serverNames ?? [];
  const [sni, wildcard] = names;
  const parsed = sni === undefined ? undefined : parseSni(sni);
  if (
    sni === undefined ||
    parsed === undefined ||
    parsed.endpoint !== undefined ||
    names.length !== 2 ||
    wildcard !== `*.${sni}`
  ) {
    throw new FieldError(
      `${path}.filter_chain_match.server_names`,
      'must be a service of the mesh and its wildcard',
    );
  }
  const [filter, ...more] = chain.filters;
  if (filter === undefined || more.length > 0) {
    throw new FieldError(`${path}.filters`, 'must be one TCP proxy');
  }
  const field = `${path}.filters[0].typed_config`;
  const proxy = unpack(filter.configType?.value, TCP_PROXY_URL, TcpProxy, field);
  return { sni, cluster: required(proxy.clusterSpecifier, `${field}.cluster`).value };
}

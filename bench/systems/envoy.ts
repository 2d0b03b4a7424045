/**
 * Envoy in the three jobs: one worker thread, no access log, TLS 1.3 with verified certificates on both
 * sides, HTTP/2 between its sidecars. Its configuration is JSON, which is YAML.
 */

import type { SocketAddress } from '../../src/mesh/address.ts';
import type { TlsFiles } from './certificates.ts';
import type { Lane, Peer } from './peer.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

export function envoy(program: string): Peer {
  return {
    name: 'envoy',
    program,
    configName: 'envoy.json',
    args: configFile => [
      ...['--config-path', configFile, '--concurrency', '1'],
      ...['--disable-hot-restart', '--log-level', 'error'],
    ],
    outbound: ({ http, tcp, tls }) =>
      bootstrap(
        [
          listener(http.listen, { filters: [httpManager('http')] }),
          listener(tcp.listen, { filters: [tcpProxy('tcp')] }),
        ],
        [
          {
            ...cluster('http', http.next),
            ...protocol({ http2_protocol_options: {} }),
            ...tlsOut(http, tls),
          },
          { ...cluster('tcp', tcp.next), ...tlsOut(tcp, tls) },
        ],
      ),
    gateway: ({ listen, lanes }) =>
      bootstrap(
        [
          {
            name: 'gateway',
            address: socketAddress(listen),
            listener_filters: [TLS_INSPECTOR],
            filter_chains: lanes.map(({ serverName }) => ({
              filter_chain_match: { server_names: [serverName] },
              filters: [tcpProxy(serverName)],
            })),
          },
        ],
        lanes.map(({ serverName, next }) => cluster(serverName, next)),
      ),
    inbound: ({ http, tcp, tls }) =>
      bootstrap(
        [
          listener(http.listen, {
            filters: [httpManager('http')],
            ...tlsIn(tls, { alpn_protocols: ['h2', 'http/1.1'] }),
          }),
          listener(tcp.listen, { filters: [tcpProxy('tcp')], ...tlsIn(tls, {}) }),
        ],
        [
          { ...cluster('http', http.next), ...protocol({ http_protocol_options: {} }) },
          cluster('tcp', tcp.next),
        ],
      ),
  };
}

function bootstrap(listeners: readonly object[], clusters: readonly object[]): string {
  return JSON.stringify({ static_resources: { listeners, clusters } });
}

function listener(listen: SocketAddress, filterChain: object): object {
  return {
    name: `on ${listen.port}`,
    address: socketAddress(listen),
    filter_chains: [filterChain],
  };
}

const TLS_INSPECTOR = {
  name: 'tls_inspector',
  typed_config: { '@type': `${TYPE}.filters.listener.tls_inspector.v3.TlsInspector` },
};

/** Where a listener's filter sends what it has read, by this name. */
function cluster(name: string, next: SocketAddress): object {
  return {
    name,
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [UNLIMITED] },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(next) } }] }],
    },
  };
}

const UNLIMITED = {
  max_connections: 100_000,
  max_pending_requests: 100_000,
  max_requests: 100_000,
};

function tcpProxy(to: string): object {
  return {
    name: 'tcp',
    typed_config: {
      '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'tcp',
      cluster: to,
    },
  };
}

function httpManager(to: string): object {
  return {
    name: 'http',
    typed_config: {
      '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'http',
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster: to } }],
          },
        ],
      },
      http_filters: [
        {
          name: 'router',
          typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` },
        },
      ],
    },
  };
}

function protocol(explicit: object): object {
  const name = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    typed_extension_protocol_options: {
      [name]: {
        '@type': `type.googleapis.com/${name}`,
        explicit_http_config: explicit,
      },
    },
  };
}

function tlsOut({ serverName }: Lane, tls: TlsFiles): object {
  return transport('UpstreamTlsContext', {
    sni: serverName,
    common_tls_context: tlsContext(tls, {
      match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: serverName } }],
    }),
  });
}

function tlsIn(tls: TlsFiles, alpn: object): object {
  return transport('DownstreamTlsContext', {
    require_client_certificate: true,
    disable_stateless_session_resumption: true,
    common_tls_context: { ...tlsContext(tls, {}), ...alpn },
  });
}

function transport(context: string, settings: object): object {
  return {
    transport_socket: {
      name: 'tls',
      typed_config: { '@type': `${TYPE}.transport_sockets.tls.v3.${context}`, ...settings },
    },
  };
}

function tlsContext(tls: TlsFiles, validation: object): object {
  return {
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_3',
      tls_maximum_protocol_version: 'TLSv1_3',
    },
    tls_certificates: [
      { certificate_chain: { filename: tls.chain }, private_key: { filename: tls.key } },
    ],
    validation_context: { trusted_ca: { filename: tls.roots }, ...validation },
  };
}

function socketAddress({ host, port }: SocketAddress): object {
  return { socket_address: { address: host, port_value: port } };
}

/**
 * Envoy in the three jobs: one worker thread, no access log, TLS 1.3 with verified certificates on both
 * sides, HTTP/2 between its sidecars. Its configuration is JSON, which is YAML.
 */

import type { SocketAddress } from '../../src/mesh/address.ts';
import type { TlsFiles } from './certificates.ts';
import type { Peer } from './peer.ts';

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
    outbound: ({ listen, next, serverName, tls }) =>
      bootstrap(listen, { filters: [httpManager()] }, next, {
        ...protocol({ http2_protocol_options: {} }),
        transport_socket: transport('UpstreamTlsContext', {
          sni: serverName,
          common_tls_context: tlsContext(tls, {
            match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: serverName } }],
          }),
        }),
      }),
    gateway: ({ listen, serverName, endpoint }) =>
      bootstrap(
        listen,
        {
          filter_chain_match: { server_names: [serverName] },
          filters: [
            {
              name: 'tcp',
              typed_config: {
                '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
                stat_prefix: 'gateway',
                cluster: 'next',
              },
            },
          ],
        },
        endpoint,
        {},
        [
          {
            name: 'tls_inspector',
            typed_config: {
              '@type': `${TYPE}.filters.listener.tls_inspector.v3.TlsInspector`,
            },
          },
        ],
      ),
    inbound: ({ listen, application, tls }) =>
      bootstrap(
        listen,
        {
          filters: [httpManager()],
          transport_socket: transport('DownstreamTlsContext', {
            require_client_certificate: true,
            disable_stateless_session_resumption: true,
            common_tls_context: { ...tlsContext(tls, {}), alpn_protocols: ['h2', 'http/1.1'] },
          }),
        },
        application,
        protocol({ http_protocol_options: {} }),
      ),
  };
}

function bootstrap(
  listen: SocketAddress,
  filterChain: object,
  next: SocketAddress,
  cluster: object,
  listenerFilters: readonly object[] = [],
): string {
  return JSON.stringify({
    static_resources: {
      listeners: [
        {
          name: 'entry',
          address: socketAddress(listen),
          listener_filters: listenerFilters,
          filter_chains: [filterChain],
        },
      ],
      clusters: [
        {
          name: 'next',
          connect_timeout: '5s',
          circuit_breakers: { thresholds: [UNLIMITED] },
          load_assignment: {
            cluster_name: 'next',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(next) } }] }],
          },
          ...cluster,
        },
      ],
    },
  });
}

const UNLIMITED = {
  max_connections: 100_000,
  max_pending_requests: 100_000,
  max_requests: 100_000,
};

function httpManager(): object {
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
            routes: [{ match: { prefix: '/' }, route: { cluster: 'next' } }],
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

function transport(context: string, settings: object): object {
  return {
    name: 'tls',
    typed_config: { '@type': `${TYPE}.transport_sockets.tls.v3.${context}`, ...settings },
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

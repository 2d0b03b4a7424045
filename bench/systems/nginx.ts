/**
 * nginx in the three jobs, and as the backend: one worker in one process, no access log, TLS 1.3 with
 * verified certificates on both sides and no tickets, connections kept and reused everywhere.
 */

import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import type { PeerTls } from './certificates.ts';
import type { Lane, Peer } from './peer.ts';

const FOR_EVER = 1_000_000_000;
const HTTP_CONNECTIONS_MAX = 1024;

export interface NginxVariant {
  readonly name: 'nginx' | 'nginx256k';
  /** Of its gateway, for each direction; 16 KiB, nginx's default, unless said. */
  readonly gatewayBufferBytes?: number;
}

export function nginx(program: string, streamModule: string, variant: NginxVariant): Peer {
  const { name, gatewayBufferBytes = 16_384 } = variant;
  return {
    name,
    program,
    configName: 'nginx.conf',
    args: nginxArgs,
    outbound: ({ http, tcp, tls }) => `${streamModule}
${httpServer(`
  upstream next { server ${formatAddress(http.next)}; ${KEPT} }
  server {
    listen ${formatAddress(http.listen)};
    location / {
      proxy_pass https://next;
      ${PROXY}
      ${tlsOut(http, tls)}
    }
  }`)}
stream {
  server {
    listen ${formatAddress(tcp.listen)} backlog=4096;
    proxy_pass ${formatAddress(tcp.next)};
    proxy_ssl on;
    ${tlsOut(tcp, tls)}
  }
}
`,
    // A connection held is one from the caller and one to the endpoint.
    gateway: ({ listen, lanes, connectionsMax }) => `${streamModule}
${settings(2 * connectionsMax)}
stream {
  map $ssl_preread_server_name $endpoint {
    ${lanes.map(({ serverName, next }) => `${serverName} ${formatAddress(next)};`).join('\n    ')}
  }
  server {
    listen ${formatAddress(listen)} backlog=4096;
    ssl_preread on;
    tcp_nodelay on;
    proxy_buffer_size ${gatewayBufferBytes};
    proxy_pass $endpoint;
  }
}
`,
    // The handshake benchmark speaks HTTP/2, so that is always offered too.
    inbound: ({ http, tcp, tls }) => `${streamModule}
${httpServer(`
  upstream application { server ${formatAddress(http.next)}; ${KEPT} }
  server {
    listen ${formatAddress(http.listen)} ssl http2;
    ${tlsIn(tls)}
    location / {
      proxy_pass http://application;
      ${PROXY}
    }
  }`)}
stream {
  server {
    listen ${formatAddress(tcp.listen)} ssl backlog=4096;
    ${tlsIn(tls)}
    proxy_pass ${formatAddress(tcp.next)};
  }
}
`,
  };
}

/** Paths of the backend, and the bytes of their answers. */
export const BACKEND_BODIES = { '/1k': 1024, '/100k': 102_400, '/16m': 16_777_216 } as const;

/** `filesDir` holds a file for each path but `/1k`, which is answered from memory. */
export function nginxBackend(listen: SocketAddress, filesDir: string): string {
  return httpServer(`
  server {
    listen ${formatAddress(listen)} backlog=4096;
    location = /1k { return 200 "${'x'.repeat(BACKEND_BODIES['/1k'])}"; }
    location / { root ${filesDir}; sendfile on; tcp_nopush on; open_file_cache max=10; }
  }`);
}

/**
 * What a gateway connects to when connection set-up is measured: reads a ClientHello, answers like HTTP
 * so that wrk understands it, and closes.
 */
export function nginxEndpoint(listen: SocketAddress, streamModule: string): string {
  return `${streamModule}
${settings(HTTP_CONNECTIONS_MAX)}
stream {
  server {
    listen ${formatAddress(listen)} backlog=4096;
    ssl_preread on;
    return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
  }
}
`;
}

export function nginxArgs(configFile: string, dir: string): readonly string[] {
  return ['-c', configFile, '-p', dir, '-e', 'stderr'];
}

/** The same words in nginx's HTTP and in its stream module. */
function tlsOut({ serverName }: Lane, tls: PeerTls): string {
  return `proxy_ssl_protocols TLSv1.3;
      proxy_ssl_certificate ${tls.chain};
      proxy_ssl_certificate_key ${tls.key};
      proxy_ssl_trusted_certificate ${tls.roots};
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 2;
      proxy_ssl_server_name on;
      proxy_ssl_name ${serverName};`;
}

function tlsIn(tls: PeerTls): string {
  return `ssl_protocols TLSv1.3;
    ssl_certificate ${tls.chain};
    ssl_certificate_key ${tls.key};
    ssl_client_certificate ${tls.roots};
    ssl_verify_client on;
    ssl_verify_depth 2;
    ssl_session_tickets off;`;
}

const KEPT = `keepalive 128; keepalive_requests ${FOR_EVER};`;
/** Buffers that hold a whole 100 KB answer, so that none goes to disk. */
const PROXY = `proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffer_size 16k;
      proxy_buffers 16 16k;
      proxy_max_temp_file_size 0;`;

function httpServer(body: string): string {
  return `${settings(HTTP_CONNECTIONS_MAX)}
http {
  access_log off;
  default_type text/plain;
  keepalive_requests ${FOR_EVER};
  keepalive_timeout 600s;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
${body}
}
`;
}

function settings(connectionsMax: number): string {
  return `daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
events { worker_connections ${connectionsMax}; }`;
}

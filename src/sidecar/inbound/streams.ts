/**
 * CONNECT streams from verified peers: each becomes one connection to the application.
 *
 * 200 is answered only once the application has accepted, so a caller that hears anything else knows
 * that nothing of its request arrived, and may try elsewhere.
 */

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { ClusterName } from '../../mesh/names.ts';
import { relay } from '../../runtime/relay.ts';
import type { AcceptedPeer } from '../../trust-federation/verify.ts';
import { writingBytesOnly } from '../tunnel/bytes-only.ts';
import { connectApplication } from './application.ts';
import type { InboundHttp } from './http.ts';
import { findService, type InboundService, type LookupRefusal } from './services.ts';

export type StreamRefusal = LookupRefusal | 'method-refused' | 'application-unreachable';

/** What is known of a stream's connection. */
export interface MeshConnection {
  readonly peer: AcceptedPeer;
  /** Of the TLS handshake; empty when there was none. */
  readonly serverName: string;
}

export interface StreamHandlerOptions {
  readonly cluster: ClusterName;
  readonly services: readonly InboundService[];
  readonly http: InboundHttp;
  readonly onRefused: (reason: StreamRefusal, authority: string, peer: AcceptedPeer) => void;
  readonly onTcp: (service: InboundService) => void;
}

export class StreamHandler {
  readonly #options: StreamHandlerOptions;

  constructor(options: StreamHandlerOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async serve(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    connection: MeshConnection,
  ): Promise<void> {
    const { cluster, services, http, onRefused, onTcp } = this.#options;
    const authority = headers[':authority'] ?? '';
    stream.on('error', () => undefined);
    const refuse = (status: number, reason: StreamRefusal): void => {
      onRefused(reason, authority, connection.peer);
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ':status': status, 'x-isthmus-error': reason }, { endStream: true });
    };
    if (headers[':method'] !== 'CONNECT') {
      refuse(405, 'method-refused');
      return;
    }
    const found = findService(services, cluster, authority, connection.serverName);
    if (found.kind === 'refused') {
      refuse(found.status, found.reason);
      return;
    }
    const { service } = found;
    const application = await connectApplication(service.application);
    if (application === undefined) {
      refuse(503, 'application-unreachable');
      return;
    }
    if (stream.destroyed || stream.closed) {
      application.destroy();
      return;
    }
    stream.respond({ ':status': 200 });
    if (service.protocol === 'http') {
      http.serve({ stream: writingBytesOnly(stream), application, service, peer: connection.peer });
    } else {
      onTcp(service);
      await relay(stream, application);
    }
  }
}

/**
 * CONNECT streams from verified peers: each becomes a connection to the application.
 *
 * 200 is answered only once the application has accepted, so a caller that hears anything else knows
 * that nothing of its request arrived, and may try elsewhere; but for 403, which it hands on.
 */

import { inboundName } from '../../mesh/callers.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { keyOf } from '../../mesh/service.ts';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import { contain } from '../../runtime/faults.ts';
import type { AcceptedPeer } from '../../trust-federation/peers/verify.ts';
import { fieldsOf } from '../../wire/http1/fields.ts';
import { H2 } from '../../wire/http2/error-codes.ts';
import type { RequestHead as ConnectHead } from '../../wire/http2/heads.ts';
import type { Http2Stream, StreamHandler as StreamEvents } from '../../wire/http2/stream.ts';
import { join } from '../bytes/join.ts';
import type { SocketChannel } from '../bytes/socket-channel.ts';
import { StreamChannel } from '../bytes/stream-channel.ts';
import { type AnswerCode, statusOf } from '../http/answer.ts';
import { Conversation } from '../http/conversation.ts';
import type { Conversations } from '../http/conversations.ts';
import { MESH_FIELDS } from '../http/mesh-fields.ts';
import type { BoundFigures } from '../metrics.ts';
import { connectApplication } from './application.ts';
import { type AuthorizationRule, type Denial, denialOf } from './authorization.ts';
import { ApplicationHop } from './http.ts';
import type { InFlight } from './in-flight.ts';
import { findService, type InboundService, type LookupRefusal } from './services.ts';

export type StreamRefusal = LookupRefusal | Denial | 'method-refused' | 'application-unreachable';

/** What is known of a stream's connection. */
export interface MeshConnection {
  readonly peer: AcceptedPeer;
  /** Of the TLS handshake; empty when there was none. */
  readonly serverName: string;
  /** Where those of the streams that carry HTTP belong. */
  readonly conversations: Conversations;
}

/** One request as metrics and the access log see it. */
export interface InboundRequest {
  readonly method: string;
  readonly service: InboundService;
  readonly peer: AcceptedPeer;
  readonly figures: BoundFigures;
  readonly status: number;
  readonly durationMs: number;
}

export interface StreamHandlerOptions {
  readonly cluster: ClusterName;
  readonly services: readonly InboundService[];
  readonly inFlight: InFlight;
  readonly authorization: AuthorizationRule;
  readonly identity: () => SpiffeId;
  readonly now: () => number;
  readonly figuresOf: (service: InboundService, peer: AcceptedPeer) => BoundFigures;
  readonly onRefused: (
    reason: StreamRefusal | AnswerCode,
    authority: string,
    peer: AcceptedPeer,
  ) => void;
  readonly onTcp: (service: InboundService) => void;
  readonly onRequest: (request: InboundRequest) => void;
}

export class StreamHandler {
  readonly #options: StreamHandlerOptions;

  constructor(options: StreamHandlerOptions) {
    this.#options = options;
  }

  serve(stream: Http2Stream, head: ConnectHead, connection: MeshConnection): StreamEvents {
    const channel = new StreamChannel();
    channel.open(stream);
    contain(
      () => this.#serve(stream, channel, head, connection),
      () => channel.reset(H2.INTERNAL_ERROR),
    );
    return channel;
  }

  #serve(
    stream: Http2Stream,
    channel: StreamChannel,
    head: ConnectHead,
    connection: MeshConnection,
  ): void {
    const { cluster, services, authorization, inFlight, now, onRefused, onTcp } = this.#options;
    const { peer, serverName } = connection;
    const authority = head.authority ?? '';
    const refuse = (status: number, reason: StreamRefusal, code: string = reason): void => {
      onRefused(reason, authority, peer);
      stream.sendHeaders({ status, fields: [['x-isthmus-error', code]] }, true);
      channel.refuse();
    };
    if (head.method !== 'CONNECT') {
      refuse(405, 'method-refused');
      return;
    }
    const found = findService(services, cluster, authority, serverName);
    if (found.kind === 'refused') {
      refuse(found.status, found.reason);
      return;
    }
    const { service } = found;
    const name = inboundName(service, service.port);
    const denial = (): Denial | undefined => denialOf(peer.trustDomain, name, authorization);
    const denied = denial();
    if (denied !== undefined) {
      refuse(statusOf('forbidden'), denied, 'forbidden');
      return;
    }
    const onOutcome = (application: SocketChannel | undefined): void => {
      if (application === undefined) refuse(503, 'application-unreachable');
      else if (channel.closed) application.abort();
      else {
        stream.sendHeaders({ status: 200, fields: [] });
        if (service.protocol === 'http') {
          this.#serveHttp(channel, application, service, denial, connection);
        } else {
          onTcp(service);
          const meter = inFlight.of(keyOf(service));
          meter.enter(now());
          join(channel, application, () => meter.leave(now()));
        }
      }
    };
    connectApplication(service.application, onOutcome, () => channel.reset(H2.INTERNAL_ERROR));
  }

  #serveHttp(
    stream: StreamChannel,
    application: SocketChannel,
    service: InboundService,
    denial: () => Denial | undefined,
    { peer, conversations }: MeshConnection,
  ): void {
    const { identity, now, inFlight, figuresOf, onRefused, onRequest } = this.#options;
    const conversation = new Conversation({ client: stream, now, endMeansGone: false });
    const figures = figuresOf(service, peer);
    const caller = fieldsOf(['x-forwarded-client-cert', `By=${identity()};URI=${peer.id}`]);
    const hop = new ApplicationHop(
      {
        conversation,
        stream,
        address: service.application,
        requestEdits: { drop: MESH_FIELDS, add: [caller] },
        inFlight: inFlight.of(keyOf(service)),
        denial,
        now,
        onFinished: ({ method }, status, durationMs) =>
          onRequest({ method, service, peer, figures, status, durationMs }),
        onRefused: reason => onRefused(reason, service.name, peer),
      },
      application,
    );
    conversations.add(conversation);
    conversation.start(hop);
  }
}

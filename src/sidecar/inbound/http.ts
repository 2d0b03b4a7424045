/**
 * HTTP/1.1 inside a CONNECT stream: one request, checked like the application's own, with the caller's
 * verified identity in `x-forwarded-client-cert` (Envoy's format), on the connection already opened.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import { abortStream } from '../../runtime/relay.ts';
import type { AcceptedPeer } from '../../trust-federation/verify.ts';
import { type AnswerCode, sendAnswer, statusOf } from '../http/answer.ts';
import { exchange } from '../http/exchange.ts';
import { withoutMeshFields } from '../http/fields.ts';
import { checkRequestHead } from '../http/request-head.ts';
import { createHttpServer } from '../http/server.ts';
import { HEADERS_TIMEOUT_MS } from '../limits.ts';
import type { InboundService } from './services.ts';

/** A CONNECT stream that has been answered 200. */
export interface AcceptedStream {
  readonly stream: Duplex;
  readonly application: Socket;
  readonly service: InboundService;
  readonly peer: AcceptedPeer;
}

/** One request as metrics and the access log see it. */
export interface InboundRequest {
  readonly method: string;
  readonly service: InboundService;
  readonly peer: AcceptedPeer;
  readonly status: number;
  readonly durationMs: number;
}

export interface InboundHttpOptions {
  readonly identity: () => SpiffeId;
  readonly now: () => number;
  readonly onRefused: (code: AnswerCode) => void;
  readonly onRequest: (request: InboundRequest) => void;
}

export class InboundHttp {
  readonly #options: InboundHttpOptions;
  /** Listens on nothing: streams are handed to it. */
  readonly #server: Server;
  readonly #waiting = new WeakMap<Duplex, AcceptedStream & { readonly stopWaiting: () => void }>();

  constructor(options: InboundHttpOptions) {
    this.#options = options;
    this.#server = createHttpServer(
      (request, response, early) => void this.#serve(request, response, early),
      options.onRefused,
    );
  }

  serve(accepted: AcceptedStream): void {
    const { stream, application } = accepted;
    const onClose = (): void => {
      clearTimeout(deadline);
      abortStream(application);
    };
    // Node times heads only for servers that listen.
    const deadline = setTimeout(() => abortStream(stream), HEADERS_TIMEOUT_MS);
    stream.once('close', onClose);
    const stopWaiting = (): void => {
      clearTimeout(deadline);
      stream.off('close', onClose);
    };
    this.#waiting.set(stream, { ...accepted, stopWaiting });
    this.#server.emit('connection', stream);
  }

  async #serve(request: IncomingMessage, response: ServerResponse, early: Buffer): Promise<void> {
    const accepted = this.#waiting.get(request.socket);
    // The application's connection was opened for one request; the stream ends with its answer.
    if (accepted === undefined) return;
    this.#waiting.delete(request.socket);
    response.shouldKeepAlive = false;
    accepted.stopWaiting();
    const startedMs = this.#options.now();
    const { peer, service } = accepted;
    const status = await this.#forward(request, response, early, accepted);
    this.#options.onRequest({
      method: request.method ?? '',
      service,
      peer,
      status,
      durationMs: this.#options.now() - startedMs,
    });
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    early: Buffer,
    { application, peer }: AcceptedStream,
  ): Promise<number> {
    const checked = checkRequestHead({
      method: request.method ?? '',
      target: request.url ?? '',
      httpVersion: request.httpVersion,
      rawHeaders: request.rawHeaders,
    });
    if (checked.kind === 'refused') {
      this.#options.onRefused(checked.code);
      application.destroy();
      sendAnswer(response, { code: checked.code, error: checked.why });
      return statusOf(checked.code);
    }
    return exchange({
      request,
      response,
      early,
      head: checked.head,
      stream: application,
      requestFields: [['x-forwarded-client-cert', `By=${this.#options.identity()};URI=${peer.id}`]],
      responseFields: withoutMeshFields,
    });
  }
}

/**
 * HTTP/1.1 heard from the plaintext side: node:http with its unsafe defaults closed (THREATS M9, M10).
 *
 * Every request, whatever event node:http announces it with, comes to one handler; CONNECT and bytes
 * that are no request are answered here. The only place that knows node:http's server.
 */

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  HEADER_BYTES_MAX,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  OUTBOUND_CONNECTIONS_MAX,
} from '../limits.ts';
import { type Answer, type AnswerCode, isClosing, stopReading, writeAnswer } from './answer.ts';

/** `early` is what followed the head of an upgrade request; it may not be forwarded before a 101. */
export type HttpHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  early: Buffer,
) => void;

export function createHttpServer(
  handle: HttpHandler,
  onRefused: (code: AnswerCode) => void,
): Server {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // A long upload is legal; an idle one ends with its connection.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // Checked with the rest of the head.
    requireHostHeader: false,
    noDelay: true,
  });
  server.maxConnections = OUTBOUND_CONNECTIONS_MAX;
  // 0 keeps every field, so that too many are seen and refused instead of silently dropped.
  server.maxHeadersCount = 0;
  const none = Buffer.alloc(0);
  /** The last response of a connection, while it is on its way. */
  const pending = new WeakMap<Duplex, ServerResponse>();
  const accept: HttpHandler = (request, response, early) => {
    const { socket } = request;
    // Node reads on behind a refused request; what it finds there may be part of it (smuggling).
    if (isClosing(socket)) return;
    pending.set(socket, response);
    response.once('close', () => {
      if (pending.get(socket) === response) pending.delete(socket);
    });
    handle(request, response, early);
  };
  server.on('request', (request, response) => accept(request, response, none));
  // Without a listener Node would answer 100 by itself, before anyone agreed to the request.
  server.on('checkContinue', (request, response) => accept(request, response, none));
  server.on('upgrade', (request, socket, early) => {
    // Node hands over the bare connection; the answer may yet be an ordinary one.
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(request.socket);
    response.on('finish', () => socket.end());
    socket.on('error', () => undefined);
    accept(request, response, early);
  });
  const refuse = (socket: Duplex, answer: Answer): void => {
    onRefused(answer.code);
    socket.on('error', () => undefined);
    writeAnswer(socket, answer);
  };
  server.on('connect', (_request, socket) =>
    refuse(socket, {
      code: 'method-refused',
      error: 'CONNECT is not served here; send the request itself',
    }),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const response = pending.get(socket);
    if (response === undefined) refuse(socket, describeClientError(error));
    else if (!response.req.complete) socket.destroy();
    else if (!isClosing(socket)) {
      // What follows a request cannot be answered before it; the connection ends with its answer.
      stopReading(socket);
      response.once('close', () => socket.end());
    }
  });
  return server;
}

function describeClientError(error: NodeJS.ErrnoException): Answer {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return { code: 'too-many-fields', error: `request head is over ${HEADER_BYTES_MAX} bytes` };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'request-timeout', error: 'request head did not arrive in time' };
    default:
      return { code: 'bad-request', error: `request is not HTTP/1.1: ${error.code ?? 'unknown'}` };
  }
}

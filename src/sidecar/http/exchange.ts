/**
 * One HTTP/1.1 request and its response over an open byte stream: the tunnel in the outbound sidecar,
 * the application's socket in the inbound one.
 *
 * Bodies are streamed with backpressure both ways; an upgrade becomes a byte stream after 101 and not
 * a byte earlier (THREATS HTTP-08); a client that goes away takes the stream with it; an answer that
 * breaks off breaks off for the client too. The only place that knows node:http's client.
 */

import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { abortStream, relay } from '../../runtime/relay.ts';
import { HEADER_FIELDS_MAX } from '../limits.ts';
import { sendAnswer } from './answer.ts';
import { endToEnd, type Fields, type FlatFields, pairs } from './fields.ts';
import { nextHopFields, type RequestHead } from './request-head.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What the client sent after the head of an upgrade request. */
  readonly early: Buffer;
  readonly head: RequestHead;
  readonly stream: Duplex;
  readonly requestFields: Fields;
  /** The response's end-to-end fields, as they go to the client. */
  readonly responseFields: (fields: Fields) => Fields;
}

/** Resolves with the response's status when the exchange is over; 502 when the next hop gave none. */
export function exchange(parts: Exchange): Promise<number> {
  const { request, response, head, stream } = parts;
  return new Promise(resolve => {
    const upstream = httpRequest({
      createConnection: () => stream,
      method: head.method,
      path: head.target,
      headers: nextHopFields(head, parts.requestFields),
      setHost: false,
    });
    // 0 keeps every field, so that too many are seen and refused instead of silently dropped.
    upstream.maxHeadersCount = 0;
    let status = 502;
    const fail = (error: string): void => {
      abortStream(stream);
      if (response.headersSent) abortStream(request.socket);
      else sendAnswer(response, { code: 'upstream-failed', error });
    };

    upstream.on('continue', () => response.writeContinue());
    upstream.on('response', answer => {
      if (answer.rawHeaders.length / 2 > HEADER_FIELDS_MAX) {
        fail(`the response has more than ${HEADER_FIELDS_MAX} header fields`);
        return;
      }
      status = answer.statusCode ?? status;
      sendResponse(answer, parts);
    });
    upstream.on('upgrade', (answer, _stream, early) => {
      if (head.upgrade === undefined) {
        fail('the response switches protocols, which was not asked for');
        return;
      }
      status = 101;
      switchProtocols(answer, early, parts);
    });
    upstream.on('error', error => {
      // After the head, the response's own end says whether it was whole.
      if (!response.headersSent) fail(`the connection failed before an answer: ${error.message}`);
    });
    response.on('close', () => {
      if (!response.writableFinished && status !== 101) abortStream(stream);
      resolve(status);
    });
    sendBody(request, upstream, head);
    // It may have broken between its opening and here; then no event will come.
    if (stream.destroyed) fail('the connection closed before the request was sent');
    // Node dumps what is left of a request only when nobody has read of it.
    response.on('finish', () => request.unpipe(upstream).resume());
  });
}

function sendBody(
  request: IncomingMessage,
  upstream: NodeJS.WritableStream & { flushHeaders(): void },
  head: RequestHead,
): void {
  upstream.flushHeaders();
  if (head.body.kind === 'none') upstream.end();
  else request.pipe(upstream);
}

function sendResponse(answer: IncomingMessage, parts: Exchange): void {
  const { request, response } = parts;
  response.writeHead(
    answer.statusCode ?? 502,
    answer.statusMessage ?? '',
    clientFields(answer, parts) as string[],
  );
  answer.on('error', () => abortStream(request.socket));
  answer.pipe(response);
}

function clientFields(answer: IncomingMessage, parts: Exchange): FlatFields {
  const fields = pairs(answer.rawHeaders);
  const length = fields.filter(([name]) => name.toLowerCase() === 'content-length').slice(0, 1);
  return [...length, ...parts.responseFields(endToEnd(fields))].flat();
}

function switchProtocols(answer: IncomingMessage, early: Buffer, parts: Exchange): void {
  const { request, response, stream } = parts;
  const fields: Fields = [
    ['Connection', 'Upgrade'],
    ['Upgrade', answer.headers.upgrade ?? ''],
    ...parts.responseFields(endToEnd(pairs(answer.rawHeaders))),
  ];
  const client = request.socket;
  response.detachSocket(client);
  client.write(
    `HTTP/1.1 101 Switching Protocols\r\n${fields.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`,
    'latin1',
  );
  if (early.length > 0) client.write(early);
  if (parts.early.length > 0) stream.write(parts.early);
  void relay(client, stream).then(() => response.emit('close'));
}

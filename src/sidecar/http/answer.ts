/**
 * The sidecar's own answers, told apart from an application's by `x-isthmus-error`: a code from a
 * closed list there, and in a JSON body the code again with what was found and what to do.
 */

import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const STATUS = {
  /** The request cannot be read in one way only. */
  'bad-request': 400,
  'method-refused': 405,
  'request-timeout': 408,
  'too-many-fields': 431,
  /** No service of the mesh has this name and port. */
  'no-route': 404,
  /** The service is known and has no endpoint. */
  'no-endpoint': 503,
  /** Endpoints were tried; the request reached no application. */
  'upstream-unreachable': 503,
  /** The request was on its way and the connection broke, or the answer made no sense. */
  'upstream-failed': 502,
} as const;

export type AnswerCode = keyof typeof STATUS;

export interface Answer {
  readonly code: AnswerCode;
  /** In lower case: what was found, then what to do. */
  readonly error: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export function statusOf(code: AnswerCode): number {
  return STATUS[code];
}

/** The connection closes after it: whatever else is on it may belong to the refused request. */
export function sendAnswer(response: ServerResponse, answer: Answer): void {
  stopReading(response.req.socket);
  const body = bodyOf(answer);
  response.writeHead(STATUS[answer.code], [
    ...headersOf(answer, body).flat(),
    ...['Connection', 'close'],
  ]);
  response.end(body);
}

/** What else comes on this connection is nothing we serve; it closes after the answer on its way. */
export function stopReading(socket: Duplex): void {
  closing.add(socket);
}

export function isClosing(socket: Duplex): boolean {
  return closing.has(socket);
}
const closing = new WeakSet<Duplex>();

/** For a connection whose request never became one. */
export function writeAnswer(socket: Duplex, answer: Answer): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = bodyOf(answer);
  const head = headersOf(answer, body).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${STATUS[answer.code]} ${answer.code}\r\n${head.join('')}Connection: close\r\n\r\n${body}`,
  );
}

function bodyOf({ error, code, details }: Answer): string {
  return `${JSON.stringify({ error, code, ...details })}\n`;
}

function headersOf(answer: Answer, body: string): readonly [string, string][] {
  return [
    ['Content-Type', 'application/json'],
    ['Content-Length', String(Buffer.byteLength(body))],
    ['x-isthmus-error', answer.code],
  ];
}

/**
 * The sidecar's own answers, told apart from an application's by `x-isthmus-error`: a code from a
 * closed list there, and in a JSON body the code again with what was found and what to do.
 */

import type { RequestRefusal } from '../../wire/http1/request-head.ts';

const STATUS = {
  /** The request cannot be read in one way only. */
  'bad-request': [400, 'Bad Request'],
  /** The service does not let this caller call it. */
  forbidden: [403, 'Forbidden'],
  /** CONNECT. */
  'method-refused': [405, 'Method Not Allowed'],
  'request-timeout': [408, 'Request Timeout'],
  'target-too-long': [414, 'URI Too Long'],
  'too-many-fields': [431, 'Request Header Fields Too Large'],
  /** No service of the mesh has this name and port. */
  'no-route': [404, 'Not Found'],
  /** The request was on its way and the connection broke, or the answer made no sense. */
  'upstream-failed': [502, 'Bad Gateway'],
  'unknown-method': [501, 'Not Implemented'],
  /** The service is known and has no endpoint. */
  'no-endpoint': [503, 'Service Unavailable'],
  /** Endpoints were tried; the request reached no application. */
  'upstream-unreachable': [503, 'Service Unavailable'],
  /** No answer in the time the request or its service gives. */
  'deadline-exceeded': [504, 'Gateway Timeout'],
  'unknown-version': [505, 'HTTP Version Not Supported'],
} as const;

export type AnswerCode = keyof typeof STATUS;

export interface Answer {
  readonly code: AnswerCode;
  /** In lower case: what was found, then what to do. */
  readonly error: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export function statusOf(code: AnswerCode): number {
  return STATUS[code][0];
}

/** Latin1. The connection closes after it: whatever else is on it may belong to the refused request. */
export function writeAnswer({ code, error, details }: Answer, method: string | undefined): string {
  const [status, reason] = STATUS[code];
  const body = Buffer.from(`${JSON.stringify({ error, code, ...details })}\n`);
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    `x-isthmus-error: ${code}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : body.toString('latin1')}`;
}

export function forbidden(host: string): Answer {
  return {
    code: 'forbidden',
    error: `"${host}" may not be called from here; is it exported to this cluster?`,
  };
}

export function describeRefusal(reason: RequestRefusal): Answer {
  switch (reason) {
    case 'connect':
      return {
        code: 'method-refused',
        error: 'CONNECT is not served here; send the request itself',
      };
    case 'target-too-large':
      return { code: 'target-too-long', error: 'request target is over 8 KiB' };
    case 'head-too-large':
      return { code: 'too-many-fields', error: 'request head is over 16 KiB' };
    case 'too-many-fields':
      return { code: 'too-many-fields', error: 'request has more than 100 header fields' };
    case 'bad-method':
      return { code: 'unknown-method', error: 'request method is not written in capitals' };
    case 'bad-version':
      return { code: 'unknown-version', error: 'request is neither HTTP/1.1 nor HTTP/1.0' };
    default:
      return { code: 'bad-request', error: `request cannot be read in one way only: ${reason}` };
  }
}

/**
 * Requests and responses as header lists, and the rules of RFC 9113 §8.2 and §8.3 for them.
 *
 * A list that breaks a rule is malformed as a whole and costs its stream (§8.1.1): nothing is repaired,
 * so nothing means one thing here and another behind us.
 */

import assert from 'node:assert';
import type { HeaderField } from './hpack-decoder.ts';

/** CONNECT has an authority alone (RFC 9113 §8.5); every other method has scheme and path. */
export interface RequestHead {
  readonly method: string;
  readonly scheme?: string;
  readonly authority?: string;
  readonly path?: string;
  readonly fields: readonly HeaderField[];
}

export interface ResponseHead {
  readonly status: number;
  readonly fields: readonly HeaderField[];
}

export type Parsed<T> =
  | { readonly kind: 'parsed'; readonly head: T }
  | { readonly kind: 'malformed'; readonly reason: string };

/** RFC 9110 §5.6.2 without upper case (RFC 9113 §8.2.1). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9113 §8.2.1: no NUL, CR or LF, no white space around. Other controls are refused with them. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const STATUS = /^[1-5][0-9]{2}$/;
/** RFC 9113 §8.2.2: what belongs to an HTTP/1.1 connection. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
/** Fifteen digits stay exact. */
const CONTENT_LENGTH = /^[0-9]{1,15}$/;
const REQUEST_PSEUDO = [':method', ':scheme', ':authority', ':path'];
const RESPONSE_PSEUDO = [':status'];

export function parseRequest(list: readonly HeaderField[]): Parsed<RequestHead> {
  const split = splitList(list, REQUEST_PSEUDO);
  if (typeof split === 'string') return malformed(split);
  const { pseudo, fields } = split;
  const method = pseudo.get(':method');
  const scheme = pseudo.get(':scheme');
  const authority = pseudo.get(':authority');
  const path = pseudo.get(':path');
  if (method === undefined || !METHOD.test(method)) return malformed('no method');
  if (method === 'CONNECT') {
    if (!authority) return malformed('CONNECT without an authority');
    if (scheme !== undefined || path !== undefined) return malformed('CONNECT with scheme or path');
    if (fields.some(isContentLength)) return malformed('CONNECT with a content-length');
    return { kind: 'parsed', head: { method, authority, fields } };
  }
  if (!scheme) return malformed('no scheme');
  const lengths = fields.filter(isContentLength);
  if (lengths.length > 1 || lengths.some(([, value]) => !CONTENT_LENGTH.test(value))) {
    return malformed('a content-length that is no single number');
  }
  if (!path?.startsWith('/') && !(method === 'OPTIONS' && path === '*')) {
    return malformed('a path that does not start with "/"');
  }
  return {
    kind: 'parsed',
    head: { method, scheme, path, fields, ...(authority === undefined ? {} : { authority }) },
  };
}

export function parseResponse(list: readonly HeaderField[]): Parsed<ResponseHead> {
  const split = splitList(list, RESPONSE_PSEUDO);
  if (typeof split === 'string') return malformed(split);
  const status = split.pseudo.get(':status');
  if (status === undefined || !STATUS.test(status)) return malformed('no status');
  return { kind: 'parsed', head: { status: Number(status), fields: split.fields } };
}

export function parseTrailers(list: readonly HeaderField[]): Parsed<readonly HeaderField[]> {
  const split = splitList(list, []);
  return typeof split === 'string' ? malformed(split) : { kind: 'parsed', head: split.fields };
}

/** How many bytes of DATA a parsed request announces (RFC 9113 §8.1.1). */
export function contentLength(head: RequestHead): number | undefined {
  const field = head.fields.find(isContentLength);
  return field === undefined ? undefined : Number(field[1]);
}

export function requestList(head: RequestHead): HeaderField[] {
  const list: HeaderField[] = [[':method', head.method]];
  if (head.scheme !== undefined) list.push([':scheme', head.scheme]);
  if (head.authority !== undefined) list.push([':authority', head.authority]);
  if (head.path !== undefined) list.push([':path', head.path]);
  list.push(...head.fields);
  const parsed = parseRequest(list);
  assert(parsed.kind === 'parsed', 'a request that a peer would refuse');
  return list;
}

export function responseList(head: ResponseHead): HeaderField[] {
  const list: HeaderField[] = [[':status', String(head.status)], ...head.fields];
  assert(parseResponse(list).kind === 'parsed', 'a response that a peer would refuse');
  return list;
}

function splitList(
  list: readonly HeaderField[],
  allowedPseudo: readonly string[],
): { pseudo: Map<string, string>; fields: HeaderField[] } | string {
  const pseudo = new Map<string, string>();
  const fields: HeaderField[] = [];
  for (const field of list) {
    const [name, value] = field;
    if (!VALUE.test(value)) return `a forbidden character in the value of "${name}"`;
    if (!name.startsWith(':')) {
      if (!NAME.test(name)) return 'a forbidden character in a field name';
      if (CONNECTION_FIELDS.has(name)) return `the connection field "${name}"`;
      if (name === 'te' && value !== 'trailers') return 'a te field other than "trailers"';
      fields.push(field);
      continue;
    }
    if (fields.length > 0) return 'a pseudo-header field after a regular one';
    if (!allowedPseudo.includes(name)) return 'an unknown pseudo-header field';
    if (pseudo.has(name)) return `"${name}" twice`;
    pseudo.set(name, value);
  }
  return { pseudo, fields };
}

function isContentLength([name]: HeaderField): boolean {
  return name === 'content-length';
}

function malformed(reason: string): Parsed<never> {
  return { kind: 'malformed', reason };
}

/** Requests and responses as text, and a reader of whole connections built on the codecs. */

import { expect } from 'chai';
import { it } from 'mocha';
import { bodyReader } from '../../../src/wire/http1/body.ts';
import type { BodyReader, BodyRefusal, BodyStep } from '../../../src/wire/http1/body-step.ts';
import { FIELDS_MAX, HEAD_BYTES_MAX } from '../../../src/wire/http1/limits.ts';
import {
  type ParsedRequest,
  parseRequestHead,
  type RequestHead,
  type RequestRefusal,
} from '../../../src/wire/http1/request-head.ts';
import {
  type Asked,
  type ParsedResponse,
  parseResponseHead,
  type ResponseHead,
  type ResponseRefusal,
} from '../../../src/wire/http1/response-head.ts';

export const GET: Asked = { method: 'GET', upgrade: undefined };

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A GET with these field lines behind its Host. */
export function get(...lines: string[]): string {
  return message('GET / HTTP/1.1', 'Host: a', ...lines);
}

export function post(...lines: string[]): string {
  return message('POST / HTTP/1.1', 'Host: a', ...lines);
}

export function ok(...lines: string[]): string {
  return message('HTTP/1.1 200 OK', ...lines);
}

export function message(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Field lines `X-0: v`, `X-1: v`, … */
export function manyFields(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `X-${i}: v`);
}

/** The GET of exactly this many bytes. */
export function getOfBytes(bytes: number): string {
  return get(`X: ${'v'.repeat(bytes - get('X: ').length)}`);
}

export const MANY = FIELDS_MAX;
export const LARGE = HEAD_BYTES_MAX;

export function parseRequest(text: string): ParsedRequest {
  const bytes = bytesOf(text);
  return parseRequestHead(bytes, 0, bytes.length);
}

export function requestHead(text: string): RequestHead {
  const parsed = parseRequest(text);
  expect(parsed.kind, JSON.stringify(parsed)).to.equal('head');
  return (parsed as Extract<ParsedRequest, { kind: 'head' }>).head;
}

export function parseResponse(text: string, asked = GET): ParsedResponse {
  const bytes = bytesOf(text);
  return parseResponseHead(bytes, 0, bytes.length, asked);
}

export function responseHead(text: string, asked = GET): ResponseHead {
  const parsed = parseResponse(text, asked);
  expect(parsed.kind, JSON.stringify(parsed)).to.equal('head');
  return (parsed as Extract<ParsedResponse, { kind: 'head' }>).head;
}

export interface RefusedRequest {
  readonly what: string;
  readonly refused: string;
  readonly reason: RequestRefusal;
  readonly status?: number;
  /** The same thing done rightly. */
  readonly twin: string;
}

export function refuseEach(rows: readonly RefusedRequest[]): void {
  for (const { what, refused, reason, status = 400, twin } of rows) {
    it(`are refused for ${what}`, () => {
      expect(parseRequest(refused)).to.deep.equal({ kind: 'refused', status, reason });
      expect(parseRequest(twin).kind, 'the legal twin').to.equal('head');
    });
  }
}

/** For comparing: `Fields` keep their text to themselves. */
export function plain(parsed: ParsedRequest | ParsedResponse): unknown {
  if (parsed.kind !== 'head') return parsed;
  return { ...parsed, head: { ...parsed.head, fields: parsed.head.fields.flat() } };
}

/** What a body reader made of bytes that came in these pieces. */
export interface ReadBody {
  readonly end: 'more' | 'done' | BodyRefusal | ResponseRefusal;
  readonly content: string;
  /** Bytes given that are not of this message. */
  readonly left: string;
}

export function readBody(reader: BodyReader, pieces: readonly string[]): ReadBody {
  let content = '';
  for (const [i, piece] of pieces.entries()) {
    const bytes = bytesOf(piece);
    let step: BodyStep = { kind: 'data', start: 0, end: 0 };
    while (step.kind === 'data') {
      step = reader.next(bytes, step.end, bytes.length);
      if (step.kind === 'data') content += piece.slice(step.start, step.end);
    }
    if (step.kind === 'refused') return { end: step.reason, content, left: '' };
    if (step.kind === 'done') {
      return { end: 'done', content, left: piece.slice(step.next) + pieces.slice(i + 1).join('') };
    }
  }
  return { end: 'more', content, left: '' };
}

export interface ReadRequest {
  readonly head: RequestHead;
  readonly content: string;
  readonly reader: BodyReader;
}

/** All that a connection said until it was refused, cut off or switched to another protocol. */
export function readConnection(text: string): {
  readonly requests: readonly ReadRequest[];
  /** The bytes of those requests. */
  readonly read: string;
  readonly refused: string | undefined;
} {
  const requests: ReadRequest[] = [];
  let rest = text;
  let refused: string | undefined;
  while (rest !== '') {
    const parsed = parseRequest(rest);
    if (parsed.kind === 'refused') refused = parsed.reason;
    if (parsed.kind !== 'head') break;
    const reader = bodyReader(parsed.head.framing);
    const body = readBody(reader, [rest.slice(parsed.next)]);
    if (body.end !== 'done') {
      if (body.end !== 'more') refused = body.end;
      break;
    }
    requests.push({ head: parsed.head, content: body.content, reader });
    rest = body.left;
    if (!parsed.head.keepAlive || parsed.head.upgrade !== undefined) break;
  }
  return { requests, read: text.slice(0, text.length - rest.length), refused };
}

/** One response and what came behind it on its connection. */
export function readResponse(text: string, asked = GET): ReadBody {
  const parsed = parseResponse(text, asked);
  if (parsed.kind === 'incomplete') return { end: 'more', content: '', left: '' };
  if (parsed.kind === 'refused') return { end: parsed.reason, content: '', left: '' };
  return readBody(bodyReader(parsed.head.framing), [text.slice(parsed.next)]);
}

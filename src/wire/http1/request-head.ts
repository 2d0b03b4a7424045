/**
 * The head of an HTTP/1.1 request, from bytes to a model that can be read in one way only.
 *
 * First step of a request through a sidecar. A pure function over the bytes that arrived so far: whole
 * head, more bytes needed, or refused. Whatever two readers could understand differently is refused;
 * after a refusal the connection answers and closes, since nobody knows where the next
 * message begins. It never throws, never reads past `end`, and the verdict does not depend on how the
 * bytes were cut up. What goes on is written from the model (write-head.ts), never the bytes read here.
 */

import { askedProtocol } from './connection.ts';
import { type FieldBlock, type FieldRefusal, FieldScanner, type Scan } from './field-block.ts';
import type { Fields } from './fields.ts';
import { CHUNKED, type Framing, NO_BODY } from './framing.ts';
import {
  type MinorVersion,
  mayConclude,
  minorVersionAt,
  scanLineEnd,
  scanVersion,
} from './head.ts';
import { HEAD_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX } from './limits.ts';
import { CR, hexDigit, LF, METHOD, PERCENT, QUESTION, SP, TARGET, TOKEN } from './octets.ts';
import { canonicalHost, parseTarget, type Target } from './target.ts';

export interface RequestHead {
  readonly method: string;
  readonly target: Target;
  /** Lower case, no trailing dot, with the port if one was given. */
  readonly host: string;
  /** End-to-end fields without Host, Expect and framing, which are the other properties. */
  readonly fields: Fields;
  readonly minorVersion: MinorVersion;
  readonly framing: Exclude<Framing, { kind: 'until-close' }>;
  /** The client means to send another request on this connection. */
  readonly keepAlive: boolean;
  /** The protocol the client asks to switch to, lower case; then there is no body. */
  readonly upgrade: string | undefined;
  /** The client waits for a 100 before it sends the body. */
  readonly expectContinue: boolean;
}

export type RequestRefusal =
  | FieldRefusal
  | 'bad-request-line'
  | 'bad-target'
  | 'bad-host'
  | 'host-missing'
  /** The absolute form names another host than Host does. */
  | 'host-mismatch'
  /** An expectation other than 100-continue. */
  | 'bad-expect'
  | 'upgrade-with-body'
  | 'target-too-large'
  | 'head-too-large'
  /** Too long, or not written in capitals. */
  | 'bad-method'
  | 'connect'
  /** Neither 1.0 nor 1.1; the HTTP/2 preface too. */
  | 'bad-version';

/** The answer, where it is not 400. */
const STATUS: Partial<Record<RequestRefusal, 414 | 431 | 501 | 505>> = {
  'target-too-large': 414,
  'head-too-large': 431,
  'too-many-fields': 431,
  'bad-method': 501,
  connect: 501,
  'bad-version': 505,
};

export type ParsedRequest =
  | {
      readonly kind: 'incomplete';
      /** Where the bytes have been read to: given back with more of them, nothing is read twice. */
      readonly scanned: number;
    }
  | {
      readonly kind: 'head';
      readonly head: RequestHead;
      /** The first byte behind the head. */
      readonly next: number;
    }
  | {
      readonly kind: 'refused';
      readonly status: 400 | 414 | 431 | 501 | 505;
      readonly reason: RequestRefusal;
    };

const CRLF_BYTES = 2;
const scanner = new FieldScanner();

/**
 * Of the bytes from `start` to `end`, more than which may follow. `scanned` is what the last
 * `incomplete` answer for these same bytes said; passing it on is what keeps a head that arrives byte by
 * byte from costing the square of its length.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  scanned = start,
): ParsedRequest {
  if (!mayConclude(bytes, start, scanned, end)) return { kind: 'incomplete', scanned: end };
  const limit = Math.min(end, start + HEAD_BYTES_MAX);
  const stop = (reason: 'incomplete' | RequestRefusal): ParsedRequest => {
    if (reason !== 'incomplete') return refused(reason);
    return end - start < HEAD_BYTES_MAX
      ? { kind: 'incomplete', scanned: end }
      : refused('head-too-large');
  };

  const begin = skipEmptyLine(bytes, start, limit);
  const methodEnd = scanMethod(bytes, begin, limit);
  if (typeof methodEnd === 'string') return stop(methodEnd);
  const targetEnd = scanTarget(bytes, methodEnd + 1, limit);
  if (typeof targetEnd === 'string') return stop(targetEnd);
  const versionEnd = scanRequestVersion(bytes, targetEnd + 1, limit);
  if (typeof versionEnd === 'string') return stop(versionEnd);
  const next = scanner.scan(bytes, versionEnd + CRLF_BYTES, limit);
  if (typeof next === 'string') return stop(next);

  const text = bytes.toString('latin1', begin, next);
  const block = scanner.read(text, begin);
  if (typeof block === 'string') return refused(block);
  const head = headOf(
    text.slice(0, methodEnd - begin),
    text.slice(methodEnd + 1 - begin, targetEnd - begin),
    minorVersionAt(bytes, versionEnd),
    block,
  );
  return typeof head === 'string' ? refused(head) : { kind: 'head', head, next };
}

/** RFC 9112 §2.2: one empty line before the request line is forgiven. */
function skipEmptyLine(bytes: Uint8Array, start: number, end: number): number {
  return start + 1 < end && bytes[start] === CR && bytes[start + 1] === LF ? start + 2 : start;
}

/** To the space behind it. */
function scanMethod(
  bytes: Uint8Array,
  start: number,
  end: number,
): Scan<'bad-request-line' | 'bad-method'> {
  // A lone CR may yet be the empty line.
  if (start + 1 === end && bytes[start] === CR) return 'incomplete';
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === SP) return at === start ? 'bad-request-line' : at;
    if (TOKEN[byte] === 0) return 'bad-request-line';
    if (METHOD[byte] === 0 || at - start === METHOD_BYTES_MAX) return 'bad-method';
  }
  return 'incomplete';
}

/** To the space behind it. */
function scanTarget(
  bytes: Uint8Array,
  start: number,
  end: number,
): Scan<'bad-target' | 'target-too-large'> {
  let inQuery = false;
  for (let at = start; at < end; at++) {
    if (at - start > TARGET_BYTES_MAX) return 'target-too-large';
    const byte = bytes[at] as number;
    if (TARGET[byte] !== 0) {
      if (byte === QUESTION) inQuery = true;
    } else if (byte === PERCENT) {
      if (at + 2 >= end) return 'incomplete';
      const high = hexDigit(bytes[at + 1] as number);
      const low = hexDigit(bytes[at + 2] as number);
      // %00 ends a path for readers written in C; a query may carry any octet.
      if (high < 0 || low < 0 || (high + low === 0 && !inQuery)) return 'bad-target';
      at += 2;
    } else {
      return byte === SP && at > start ? at : 'bad-target';
    }
  }
  return 'incomplete';
}

/** To the end of the version, which the line must end with. */
function scanRequestVersion(
  bytes: Uint8Array,
  start: number,
  end: number,
): Scan<'bad-version' | 'bad-request-line' | 'bad-line-ending'> {
  const versionEnd = scanVersion(bytes, start, end);
  if (versionEnd === 'not-http') return 'bad-request-line';
  if (typeof versionEnd === 'string') return versionEnd;
  const lineEnd = scanLineEnd(bytes, versionEnd, end);
  if (lineEnd === 'overlong-line') return 'bad-request-line';
  return typeof lineEnd === 'string' ? lineEnd : versionEnd;
}

function headOf(
  method: string,
  targetText: string,
  minorVersion: MinorVersion,
  block: FieldBlock,
): RequestHead | RequestRefusal {
  if (method === 'CONNECT') return 'connect';
  const target = parseTarget(targetText, method);
  if (target === undefined) return 'bad-target';
  const named = block.host ?? (minorVersion === 0 ? target.authority : undefined);
  // RFC 9112 §3.2 asks for it in 1.1; the mesh routes by nothing else, so in 1.0 too.
  if (named === undefined) return 'host-missing';
  const host = canonicalHost(named);
  if (host === undefined) return 'bad-host';
  if (target.authority !== undefined && canonicalHost(target.authority) !== host) {
    return 'host-mismatch';
  }

  // RFC 9112 §6.1: faulty by definition in an HTTP/1.0 message.
  if (block.chunked && minorVersion === 0) return 'bad-transfer-encoding';
  const framing = framingOf(block);
  const upgrade = minorVersion === 1 ? askedProtocol(block.connection, block.upgrade) : undefined;
  if (upgrade !== undefined && (block.chunked || (block.contentLength ?? 0) > 0)) {
    return 'upgrade-with-body';
  }
  // RFC 9110 §10.1.1: an HTTP/1.0 client does not know what a 100 is.
  const expect = minorVersion === 1 ? block.expect?.toLowerCase() : undefined;
  if (expect !== undefined && expect !== '100-continue') return 'bad-expect';
  return {
    method,
    target,
    host,
    fields: block.fields,
    minorVersion,
    framing,
    keepAlive: !block.connection.close && (minorVersion === 1 || block.connection.keepAlive),
    upgrade,
    expectContinue: expect !== undefined && framing.kind !== 'none',
  };
}

function framingOf(block: FieldBlock): RequestHead['framing'] {
  if (block.chunked) return CHUNKED;
  return block.contentLength === undefined
    ? NO_BODY
    : { kind: 'length', bytes: block.contentLength };
}

function refused(reason: RequestRefusal): ParsedRequest {
  return { kind: 'refused', status: STATUS[reason] ?? 400, reason };
}

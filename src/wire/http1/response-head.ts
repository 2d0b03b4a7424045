/**
 * The head of an HTTP/1.1 response, as strict as for requests: an application that can be made to
 * answer ambiguously must not make its caller read another caller's answer.
 *
 * A pure function like `parseRequestHead`. A refusal means that the connection it came on is closed
 * and the caller gets a 502. 1xx heads other than 101 are followed by another head.
 */

import { askedProtocol } from './connection.ts';
import { type FieldBlock, type FieldRefusal, FieldScanner, type Scan } from './field-block.ts';
import type { Fields } from './fields.ts';
import { CHUNKED, type Framing, NO_BODY, UNTIL_CLOSE } from './framing.ts';
import {
  type MinorVersion,
  mayConclude,
  minorVersionAt,
  scanLineEnd,
  scanVersion,
} from './head.ts';
import { HEAD_BYTES_MAX } from './limits.ts';
import { endOfRun, SP, VALUE } from './octets.ts';

export interface ResponseHead {
  /** 100 to 599. */
  readonly status: number;
  /** As sent, often empty. */
  readonly reason: string;
  /** End-to-end fields without framing. */
  readonly fields: Fields;
  readonly minorVersion: MinorVersion;
  readonly framing: Framing;
  /** Content-Length where there is no body: what a GET would have answered (HEAD, 304). */
  readonly declaredBytes: number | undefined;
  /** The connection can take another request once the body has been read. */
  readonly keepAlive: boolean;
  /** Of a 101: the protocol of every byte behind this head. */
  readonly upgrade: string | undefined;
}

export type ResponseRefusal =
  | FieldRefusal
  | 'bad-status-line'
  | 'bad-version'
  | 'head-too-large'
  /** Content in a 1xx or 204, which have none (RFC 9110 §15.2, §15.3.5). */
  | 'body-forbidden'
  /** A 101 that nobody asked for, or to another protocol. */
  | 'unasked-upgrade';

export type ParsedResponse =
  | { readonly kind: 'incomplete'; readonly scanned: number }
  | { readonly kind: 'head'; readonly head: ResponseHead; readonly next: number }
  | { readonly kind: 'refused'; readonly reason: ResponseRefusal };

/** What of the request decides how its response is read (RFC 9112 §6.3). */
export interface Asked {
  readonly method: string;
  readonly upgrade: string | undefined;
}

const DIGIT_0 = 0x30;
const scanner = new FieldScanner();

/** `scanned` as in `parseRequestHead`. */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  asked: Asked,
  scanned = start,
): ParsedResponse {
  if (!mayConclude(bytes, start, scanned, end)) return { kind: 'incomplete', scanned: end };
  const limit = Math.min(end, start + HEAD_BYTES_MAX);
  const stop = (reason: 'incomplete' | ResponseRefusal): ParsedResponse => {
    if (reason !== 'incomplete') return { kind: 'refused', reason };
    return end - start < HEAD_BYTES_MAX
      ? { kind: 'incomplete', scanned: end }
      : { kind: 'refused', reason: 'head-too-large' };
  };

  const versionEnd = scanVersion(bytes, start, limit);
  if (versionEnd === 'not-http') return stop('bad-status-line');
  if (typeof versionEnd === 'string') return stop(versionEnd);
  const statusEnd = scanStatus(bytes, versionEnd, limit);
  if (typeof statusEnd === 'string') return stop(statusEnd);
  const reasonEnd = scanReason(bytes, statusEnd, limit);
  if (typeof reasonEnd === 'string') return stop(reasonEnd);
  const lineEnd = scanLineEnd(bytes, reasonEnd, limit);
  if (lineEnd === 'overlong-line') return stop('bad-status-line');
  if (typeof lineEnd === 'string') return stop(lineEnd);
  const next = scanner.scan(bytes, lineEnd, limit);
  if (typeof next === 'string') return stop(next);

  const text = bytes.toString('latin1', start, next);
  const block = scanner.read(text, start);
  if (typeof block === 'string') return stop(block);
  const head = headOf(
    Number(text.slice(statusEnd - 3 - start, statusEnd - start)),
    text.slice(statusEnd + 1 - start, reasonEnd - start),
    minorVersionAt(bytes, versionEnd),
    block,
    asked,
  );
  return typeof head === 'string' ? stop(head) : { kind: 'head', head, next };
}

/** To behind the three digits. */
function scanStatus(bytes: Uint8Array, start: number, end: number): Scan<'bad-status-line'> {
  if (start + 4 > end) return 'incomplete';
  if (bytes[start] !== SP) return 'bad-status-line';
  const first = (bytes[start + 1] as number) - DIGIT_0;
  const second = (bytes[start + 2] as number) - DIGIT_0;
  const third = (bytes[start + 3] as number) - DIGIT_0;
  const legal = first >= 1 && first <= 5 && second >= 0 && second <= 9 && third >= 0 && third <= 9;
  return legal ? start + 4 : 'bad-status-line';
}

/** To the end of the phrase. Many servers leave out the space before an empty one. */
function scanReason(bytes: Uint8Array, start: number, end: number): Scan<'bad-status-line'> {
  if (start < end && bytes[start] !== SP) return start;
  const reasonEnd = endOfRun(VALUE, bytes, start, end);
  return reasonEnd < end ? reasonEnd : 'incomplete';
}

function headOf(
  status: number,
  reason: string,
  minorVersion: MinorVersion,
  block: FieldBlock,
  asked: Asked,
): ResponseHead | ResponseRefusal {
  if (block.chunked && minorVersion === 0) return 'bad-transfer-encoding';
  const upgrade = status === 101 ? askedProtocol(block.connection, block.upgrade) : undefined;
  if (status === 101 && (upgrade === undefined || upgrade !== asked.upgrade)) {
    return 'unasked-upgrade';
  }
  const bodiless = status < 200 || status === 204;
  if (bodiless && (block.chunked || (block.contentLength ?? 0) > 0)) return 'body-forbidden';
  const framing =
    bodiless || status === 304 || asked.method === 'HEAD' ? NO_BODY : framingOf(block);
  return {
    status,
    reason,
    fields: block.fields,
    minorVersion,
    framing,
    declaredBytes: framing.kind === 'none' && !bodiless ? block.contentLength : undefined,
    keepAlive:
      framing.kind !== 'until-close' &&
      status !== 101 &&
      !block.connection.close &&
      (minorVersion === 1 || block.connection.keepAlive),
    upgrade,
  };
}

function framingOf(block: FieldBlock): Framing {
  if (block.chunked) return CHUNKED;
  return block.contentLength === undefined
    ? UNTIL_CLOSE
    : { kind: 'length', bytes: block.contentLength };
}

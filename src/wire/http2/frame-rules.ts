/**
 * What a frame header may say by itself: sizes and stream ids of each type (RFC 9113 §4.2 and §6).
 *
 * Violations that the RFC lets cost one stream (a PRIORITY of the wrong size, an increment of zero) cost
 * the connection, which §5.4.1 allows: no honest peer sends them, and making the other side reset
 * streams is what CVE-2025-8671 lives on.
 */

import { H2, Http2Violation } from './error-codes.ts';
import { FLAG, FRAME, PING_BYTES } from './frames.ts';
import { FRAME_PAYLOAD_BYTES_MAX } from './limits.ts';

/** Throws Http2Violation. Types nobody here knows may have any shape (RFC 9113 §5.5). */
export function checkFrameHeader(
  type: number,
  flags: number,
  streamId: number,
  length: number,
): void {
  if (length > FRAME_PAYLOAD_BYTES_MAX) throw frameSize(`a frame of ${length} bytes`);
  switch (type) {
    case FRAME.DATA:
    case FRAME.HEADERS:
    case FRAME.CONTINUATION:
      requireStream(streamId);
      break;
    case FRAME.PRIORITY:
      requireStream(streamId);
      requireSize(length === 5, type, length);
      break;
    case FRAME.RST_STREAM:
      requireStream(streamId);
      requireSize(length === 4, type, length);
      break;
    case FRAME.SETTINGS:
      requireConnection(streamId);
      requireSize((flags & FLAG.ACK ? length : length % 6) === 0, type, length);
      break;
    case FRAME.PUSH_PROMISE:
      // §8.4: a client here has always said that it takes none, and a client cannot push.
      throw protocol('a PUSH_PROMISE');
    case FRAME.PING:
      requireConnection(streamId);
      requireSize(length === PING_BYTES, type, length);
      break;
    case FRAME.GOAWAY:
      requireConnection(streamId);
      requireSize(length >= 8, type, length);
      break;
    case FRAME.WINDOW_UPDATE:
      requireSize(length === 4, type, length);
      break;
  }
}

export function protocol(found: string): Http2Violation {
  return new Http2Violation(H2.PROTOCOL_ERROR, `found ${found}`);
}

export function frameSize(found: string): Http2Violation {
  return new Http2Violation(H2.FRAME_SIZE_ERROR, `found ${found}`);
}

function requireStream(streamId: number): void {
  if (streamId === 0) throw protocol('a stream frame on stream 0');
}

function requireConnection(streamId: number): void {
  if (streamId !== 0) throw protocol('a connection frame on a stream');
}

function requireSize(isRight: boolean, type: number, length: number): void {
  if (!isRight) throw frameSize(`a frame of type ${type} with ${length} bytes`);
}

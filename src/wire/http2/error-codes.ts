/**
 * HTTP/2 error codes (RFC 9113 §7), and the one error that ends a connection.
 *
 * An Http2Violation is thrown by the codecs and caught by the connection, which answers GOAWAY with its
 * code; it never leaves `Http2Connection.receive`. What costs only a stream is not thrown.
 */

import { MeshError } from '../../mesh/errors.ts';

export const H2 = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

/** Any number a peer sends: unknown codes carry no special meaning (RFC 9113 §7). */
export type H2Code = number;

export class Http2Violation extends MeshError {
  readonly http2Code: H2Code;

  constructor(http2Code: H2Code, message: string) {
    super('PROTOCOL_VIOLATION', message, { details: { http2Code } });
    this.http2Code = http2Code;
  }
}

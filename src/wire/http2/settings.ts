/**
 * SETTINGS (RFC 9113 §6.5): what we say, and what a peer's frame says.
 */

import { H2, Http2Violation } from './error-codes.ts';
import { protocol } from './frame-rules.ts';
import { STREAM_ID_MAX } from './frames.ts';
import { HEADER_LIST_BYTES_MAX, STREAM_WINDOW_BYTES, STREAMS_MAX } from './limits.ts';

const SETTING = {
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** Of one end of a connection. */
export type Role = 'client' | 'server';

/** Both windows until a SETTINGS or WINDOW_UPDATE says otherwise (RFC 9113 §6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535;

/** All that we do not name keeps its default: frames of 16 KiB, a header table of 4 KiB. */
export function ownSettings(role: Role): (readonly [id: number, value: number])[] {
  return [
    role === 'client' ? [SETTING.ENABLE_PUSH, 0] : [SETTING.MAX_CONCURRENT_STREAMS, STREAMS_MAX],
    [SETTING.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
    [SETTING.MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES_MAX],
  ];
}

/** The settings that change what we send; undefined ones keep their value. */
export interface PeerSettings {
  readonly streamsMax: number | undefined;
  readonly initialWindowBytes: number | undefined;
}

/** Of a setting that is named twice the last one counts. Throws Http2Violation. */
export function parseSettings(payload: Buffer, sender: Role): PeerSettings {
  let streamsMax: number | undefined;
  let initialWindowBytes: number | undefined;
  for (let at = 0; at < payload.length; at += 6) {
    const value = payload.readUInt32BE(at + 2);
    switch (payload.readUInt16BE(at)) {
      case SETTING.ENABLE_PUSH:
        // A server may only say 0 (§6.5.2).
        if (value > (sender === 'client' ? 1 : 0)) throw protocol(`ENABLE_PUSH ${value}`);
        break;
      case SETTING.MAX_CONCURRENT_STREAMS:
        streamsMax = value;
        break;
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > STREAM_ID_MAX) {
          throw new Http2Violation(H2.FLOW_CONTROL_ERROR, `found INITIAL_WINDOW_SIZE ${value}`);
        }
        initialWindowBytes = value;
        break;
      case SETTING.MAX_FRAME_SIZE:
        // Never used: our frames have the size that every peer takes.
        if (value < 2 ** 14 || value >= 2 ** 24) throw protocol(`MAX_FRAME_SIZE ${value}`);
        break;
    }
  }
  return { streamsMax, initialWindowBytes };
}

/**
 * Frames spelled out byte by byte, independent of the writer under test.
 */

export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | readonly number[] = [],
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, Buffer.from(payload)]);
}

export const PREFACE = Buffer.from('505249202a20485454502f322e300d0a0d0a534d0d0a0d0a', 'hex');

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function rawSettings(...entries: readonly (readonly [number, number])[]): Buffer {
  const payload = entries.map(([id, value]) => Buffer.concat([Buffer.of(id >> 8, id), u32(value)]));
  return rawFrame(4, 0, 0, Buffer.concat(payload));
}

export const rawSettingsAck = (): Buffer => rawFrame(4, 1, 0);
export const rawPing = (ack = false): Buffer => rawFrame(6, ack ? 1 : 0, 0, Buffer.alloc(8, 0x70));
export const rawRst = (id: number, code: number): Buffer => rawFrame(3, 0, id, u32(code));
export const rawWindow = (id: number, n: number): Buffer => rawFrame(8, 0, id, u32(n));
export const rawData = (id: number, text: string, end = false): Buffer =>
  rawFrame(0, end ? 1 : 0, id, Buffer.from(text, 'latin1'));
export const rawHeaders = (id: number, block: Uint8Array, end = false): Buffer =>
  rawFrame(1, end ? 5 : 4, id, block);

/** HPACK without compression: literals, never indexed. Strings below 127 bytes. */
export function rawBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.of(0x10, name.length),
      Buffer.from(name, 'latin1'),
      Buffer.of(value.length),
      Buffer.from(value, 'latin1'),
    ]),
  );
}

export const rawConnect = (authority = 'a:80'): Buffer =>
  rawBlock([
    [':method', 'CONNECT'],
    [':authority', authority],
  ]);

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Whole frames only; what is left over is an error of the writer. */
export function seeFrames(bytes: Buffer): SeenFrame[] {
  const frames: SeenFrame[] = [];
  let at = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0;
  while (at < bytes.length) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) throw new Error('output ends inside a frame');
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return frames;
}

/**
 * An append-only file of frames, each synced to disk before anyone is told it is written.
 *
 * A frame is `magic, length, crc32, payload`; its payload is a JSON array of the records appended in one
 * turn of the event loop, so one fsync serves them all and a crash can tear only the last frame. Such a
 * tail was never acknowledged and is cut off. Damage with whole frames after it is something else, a
 * failing disk or an editor, and is refused instead of guessed at. After a failed write nothing more is
 * accepted: what the disk holds is known again only after a restart.
 */

import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';

/** Not UTF-8, so it cannot occur inside a payload. */
const MAGIC = Buffer.from([0xf1, 0x49, 0x53, 0xff]);
const HEADER_BYTES = MAGIC.length + 8;

interface Pending {
  readonly record: object;
  readonly resolve: () => void;
  readonly reject: (error: MeshError) => void;
}

/** Opens or creates the file and replays it; records are what JSON can carry. Throws FILE_CORRUPT, FILE_UNREADABLE. */
export async function openJournal(
  path: string,
  replay: (record: unknown) => void,
  log: Logger,
): Promise<Journal> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'a+', 0o600);
    const content = await file.readFile();
    const { end, next } = readFrames(content, replay);
    if (next !== undefined) throw damaged(path, end, `good data follows at offset ${next}`);
    if (end < content.length) {
      log.warn(
        { path, offset: end, bytes: content.length - end },
        'cut a write that a crash had interrupted off the journal; it was never acknowledged',
      );
      await file.truncate(end);
    }
    await file.sync();
    await syncDirectory(dirname(path));
    return new Journal(path, file, end);
  } catch (cause) {
    await file?.close();
    if (cause instanceof MeshError) throw cause;
    throw new MeshError('FILE_UNREADABLE', `journal "${path}": ${messageOf(cause)}`, { cause });
  }
}

/** Replays a journal that was closed in order, so that nothing in it may be torn. */
export async function replayJournal(
  path: string,
  replay: (record: unknown) => void,
): Promise<void> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `journal "${path}": ${messageOf(cause)}`, { cause });
  }
  const { end } = readFrames(content, replay);
  if (end < content.length) throw damaged(path, end, 'a later journal follows it');
}

export class Journal {
  #path: string;
  #file: FileHandle;
  #bytes: number;
  #pending: Pending[] = [];
  #next:
    | { readonly path: string; readonly file: FileHandle; readonly done: () => void }
    | undefined;
  #last: Promise<void> = Promise.resolve();
  #writing: Promise<void> | undefined;
  #failure: MeshError | undefined;

  constructor(path: string, file: FileHandle, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves, in order of the calls, once the record is on disk. Throws STORE_UNAVAILABLE. */
  append(record: object): Promise<void> {
    this.#last = new Promise((resolve, reject) => {
      this.#pending.push({ record, resolve, reject });
      this.#writing ??= this.#write();
    });
    return this.#last;
  }

  /** Resolves once everything appended so far is on disk. */
  async flushed(): Promise<void> {
    await this.#last;
  }

  /** Resolves when the file so far is complete and every later record goes to this new one. */
  async continueIn(path: string): Promise<void> {
    const file = await open(path, 'a', 0o600);
    await syncDirectory(dirname(path));
    await new Promise<void>(done => {
      this.#next = { path, file, done };
      this.#writing ??= this.#write();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0 || this.#next !== undefined) {
      await this.#switchFile();
      await new Promise(resolve => setImmediate(resolve)); // Let this turn's appends come together.
      const batch = this.#pending;
      this.#pending = [];
      try {
        if (this.#failure !== undefined) throw this.#failure;
        if (batch.length === 0) continue;
        const frame = formatFrame(batch.map(({ record }) => record));
        await this.#file.appendFile(frame);
        await this.#file.datasync();
        this.#bytes += frame.length;
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        this.#failure ??= new MeshError(
          'STORE_UNAVAILABLE',
          `journal "${this.#path}" cannot be written: ${messageOf(cause)}; make room and restart`,
          { cause },
        );
        for (const { reject } of batch) reject(this.#failure);
      }
    }
    this.#writing = undefined;
  }

  async #switchFile(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    await this.#file.close();
    this.#file = next.file;
    this.#path = next.path;
    this.#bytes = 0;
    next.done();
  }
}

function formatFrame(records: readonly unknown[]): Buffer {
  const payload = Buffer.from(JSON.stringify(records));
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(payload.length, MAGIC.length);
  header.writeUInt32BE(crc32(payload), MAGIC.length + 4);
  return Buffer.concat([header, payload]);
}

/** Replays whole frames up to `end`; `next` is where another one starts behind damage. */
function readFrames(
  content: Buffer,
  replay: (record: unknown) => void,
): { readonly end: number; readonly next: number | undefined } {
  let end = 0;
  while (end < content.length) {
    const payload = payloadAt(content, end);
    if (payload === undefined) return { end, next: frameAfter(content, end) };
    for (const record of JSON.parse(payload.toString()) as unknown[]) replay(record);
    end += HEADER_BYTES + payload.length;
  }
  return { end, next: undefined };
}

/** Undefined unless a whole, undamaged frame starts there. */
function payloadAt(content: Buffer, offset: number): Buffer | undefined {
  const start = offset + HEADER_BYTES;
  if (start > content.length) return undefined;
  if (!content.subarray(offset, offset + MAGIC.length).equals(MAGIC)) return undefined;
  const end = start + content.readUInt32BE(offset + MAGIC.length);
  if (end > content.length) return undefined;
  const payload = content.subarray(start, end);
  return content.readUInt32BE(offset + MAGIC.length + 4) === crc32(payload) ? payload : undefined;
}

function frameAfter(content: Buffer, damage: number): number | undefined {
  let next = content.indexOf(MAGIC, damage + 1);
  while (next >= 0 && payloadAt(content, next) === undefined) {
    next = content.indexOf(MAGIC, next + 1);
  }
  return next < 0 ? undefined : next;
}

function damaged(path: string, offset: number, why: string): MeshError {
  return new MeshError(
    'FILE_CORRUPT',
    `journal "${path}" is damaged at offset ${offset} and ${why}; restore its directory from a copy, or remove the directory and let every cluster's agent publish again`,
    { details: { path, offset } },
  );
}

async function syncDirectory(path: string): Promise<void> {
  const dir = await open(path, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

/**
 * Small files that must be whole or absent: last-known-good snapshots, identities.
 *
 * Written as temp file, fsync, rename, fsync of the directory, so a crash at any point leaves the old
 * content or the new. A header carries a CRC, so a file damaged later is named instead of believed.
 * Everything under a state directory is private: 0700 directories, 0600 files, looser is refused.
 */

import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { MeshError } from '../mesh/errors.ts';

const MAGIC = Buffer.from('ISTHMUS1');
const HEADER_BYTES = MAGIC.length + 8;

/** Creates the directory 0700, or refuses one that others can enter (FILE_PERMISSIONS). */
export async function ensurePrivateDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new MeshError(
      'FILE_UNREADABLE',
      `state directory "${dir}" cannot be created: ${(cause as Error).message}`,
      { cause },
    );
  }
  await requirePrivate(dir);
}

/** Throws FILE_PERMISSIONS when group or others have any right on the path. */
async function requirePrivate(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  const found = (mode & 0o777).toString(8).padStart(4, '0');
  throw new MeshError(
    'FILE_PERMISSIONS',
    `"${path}" holds secrets and has mode ${found}; run: chmod go-rwx "${path}"`,
  );
}

/** Atomic replacement of a private file's whole content; when it fails, the old content stays. */
export async function writePrivateFile(path: string, content: Uint8Array | string): Promise<void> {
  // Random, because a counter would meet the leftovers of a crashed process with the same pid, and
  // in a container every process has the same pid.
  const temp = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temp, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
  const dir = await open(dirname(path), 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

/** A private file's content, or undefined when there is none. Throws FILE_PERMISSIONS, FILE_UNREADABLE. */
export async function readPrivateFile(path: string): Promise<Buffer | undefined> {
  try {
    const content = await readFile(path);
    await requirePrivate(path);
    return content;
  } catch (error) {
    if (error instanceof MeshError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MeshError(
      'FILE_UNREADABLE',
      `"${path}" cannot be read: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

export async function writeStateFile(path: string, content: Uint8Array): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(content.length, MAGIC.length);
  header.writeUInt32BE(crc32(content), MAGIC.length + 4);
  await writePrivateFile(path, Buffer.concat([header, content]));
}

/** Undefined when there is no such file; FILE_CORRUPT when it is not what writeStateFile wrote. */
export async function readStateFile(path: string): Promise<Buffer | undefined> {
  const file = await readPrivateFile(path);
  if (file === undefined) return undefined;
  const content = file.subarray(HEADER_BYTES);
  const what =
    file.length < HEADER_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)
      ? 'does not start with a state file header'
      : file.readUInt32BE(MAGIC.length) !== content.length
        ? `holds ${content.length} bytes where its header says ${file.readUInt32BE(MAGIC.length)}`
        : file.readUInt32BE(MAGIC.length + 4) !== crc32(content)
          ? 'does not match its checksum'
          : undefined;
  if (what === undefined) return content;
  throw new MeshError(
    'FILE_CORRUPT',
    `state file "${path}" ${what}; remove it to start without it`,
  );
}

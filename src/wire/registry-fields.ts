/** What the registry's messages have in common: fields checked once, refused with their name and value. */

import { isMeshError, MeshError } from '../mesh/errors.ts';

/** Free text (locality, network, instance, version, host, reason): bytes of UTF-8. */
const TEXT_BYTES_MAX = 253;

/** Free text that ends up in logs and tables: printable, bounded, possibly empty. */
export function text(field: string, value: string): string {
  if (Buffer.byteLength(value) > TEXT_BYTES_MAX) {
    throw invalid(`${field} ${shown(value)} is longer than ${TEXT_BYTES_MAX} bytes`);
  }
  if (/\p{C}/u.test(value)) throw invalid(`${field} ${shown(value)} has an unprintable character`);
  return value;
}

export function present<T>(field: string, value: T | undefined): T {
  if (value !== undefined) return value;
  throw invalid(`${field} is missing`);
}

export function atMost<T>(field: string, max: number, items: readonly T[]): readonly T[] {
  if (items.length <= max) return items;
  throw new MeshError(
    'LIMIT_EXCEEDED',
    `${items.length} ${field} in one record; use at most ${max}`,
  );
}

/** A name refused by the mesh's own parsers is the sender's fault here, not this process's. */
export function refusing<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (isMeshError(error, 'NAME_INVALID')) throw invalid(error.message);
    throw error;
  }
}

export function invalid(message: string): MeshError {
  return new MeshError('REQUEST_INVALID', message);
}

export function shown(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}

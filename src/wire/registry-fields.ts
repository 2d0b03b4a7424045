/** What the registry's messages have in common: fields checked once, refused with their name and value. */

import type { SocketAddress } from '../mesh/address.ts';
import { isMeshError, MeshError } from '../mesh/errors.ts';
import type { Locality } from '../mesh/locality.ts';
import type * as pb from './generated/isthmus/registry/v1/registry.ts';

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

export function decodeLocality(locality: pb.Locality | undefined): Locality {
  const { region, zone } = present('locality', locality);
  return { region: text('region', region), zone: text('zone', zone) };
}

export function decodeAddress(address: pb.SocketAddress | undefined): SocketAddress {
  const { host, port } = present('address', address);
  if (!/^[A-Za-z0-9._:-]{1,253}$/.test(host)) {
    throw invalid(`host ${shown(host)} must be a DNS name or an IP address`);
  }
  return { host, port: portNumber(port) };
}

export function portNumber(port: number): number {
  if (port >= 1 && port <= 65535) return port;
  throw invalid(`port "${port}" must be 1 to 65535`);
}

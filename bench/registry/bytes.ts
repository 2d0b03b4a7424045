/** What one endpoint's change weighs on a watcher's connection, for services of different sizes. */

import {
  RegistryDefinition,
  type WatchResponse,
} from '../../src/wire/generated/isthmus/registry/v1/registry.ts';
import type { WatchPosition } from '../../src/wire/registry-records.ts';
import { SLICE_ENDPOINTS } from '../../src/wire/registry-slices.ts';
import type { Member } from './member.ts';

export const SERVICE_SIZES = [1, 10, 100, 1_000] as const;

/** By size: bytes of the gRPC messages that bring the change of its last endpoint. */
export async function bytesPerChange(
  member: Member,
  { storeId }: WatchPosition,
): Promise<Readonly<Record<number, number>>> {
  const found: Record<number, number> = {};
  for (const size of SERVICE_SIZES) {
    const slices = Math.ceil(size / SLICE_ENDPOINTS);
    const sizeOf = (slice: number): number =>
      slice < slices - 1 ? SLICE_ENDPOINTS : size - slice * SLICE_ENDPOINTS;
    const put = (slice: number, mark: string): Promise<bigint> => {
      const record = member.slice(`sized-${size}`, sizeOf(slice), mark, slice);
      return member.client.publish({ puts: [record], deletes: [] });
    };
    let revision = 0n;
    for (let slice = 0; slice < slices; slice++) revision = await put(slice, 'before');
    const changed = await put(slices - 1, 'after');
    found[size] = await bytesOf(member, { storeId, revision }, changed);
  }
  return found;
}

/** Of the message with this revision. */
async function bytesOf(member: Member, from: WatchPosition, revision: bigint): Promise<number> {
  const { watch } = RegistryDefinition.methods;
  const sizes = new WeakMap<WatchResponse, number>();
  const counting = {
    ...watch,
    responseType: {
      ...watch.responseType,
      decode: (bytes: Uint8Array): WatchResponse => {
        const message = watch.responseType.decode(bytes);
        sizes.set(message, bytes.length);
        return message;
      },
    },
  };
  const channel = member.dial();
  const stop = new AbortController();
  try {
    const request = {
      ...watch.requestType.create(),
      resumeRevision: from.revision,
      storeId: from.storeId,
    };
    for await (const message of channel.serverStream(counting, request, stop.signal)) {
      if (message.revision === revision) return sizes.get(message) ?? 0;
    }
    throw new Error(`the watch ended before revision ${revision}`);
  } finally {
    stop.abort();
    channel.close();
  }
}

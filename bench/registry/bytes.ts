/** What one endpoint's change weighs on a watcher's connection, for services of different sizes. */

import {
  RegistryDefinition,
  type WatchResponse,
} from '../../src/wire/generated/isthmus/registry/v1/registry.ts';
import type { WatchPosition } from '../../src/wire/registry-records.ts';
import { SLICE_ENDPOINTS_MAX } from '../../src/wire/registry-slices.ts';
import type { Member } from './member.ts';

export const SERVICE_SIZES = [1, 10, 100, 1_000] as const;

/** By size: bytes of the gRPC messages that bring the change of its last endpoint. */
export async function bytesPerChange(
  member: Member,
  from: WatchPosition,
): Promise<Readonly<Record<number, number>>> {
  const found: Record<number, number> = {};
  for (const size of SERVICE_SIZES) {
    const service = `sized-${size}`;
    for (let at = 0; at < size; at += SLICE_ENDPOINTS_MAX) {
      const record = member.slice(
        service,
        Math.min(SLICE_ENDPOINTS_MAX, size - at),
        'before',
        at / SLICE_ENDPOINTS_MAX,
      );
      await member.client.publish({ puts: [record], deletes: [] });
    }
    const last = Math.floor((size - 1) / SLICE_ENDPOINTS_MAX);
    const changed = member.slice(service, size - last * SLICE_ENDPOINTS_MAX, 'after', last);
    const revision = await member.client.publish({ puts: [changed], deletes: [] });
    found[size] = await bytesOf(member, from, revision);
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

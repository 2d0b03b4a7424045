/**
 * `GET /tap?bytesMax=N&durationMs=N`: a copy of the bytes relayed meanwhile, both directions, as they
 * pass. They are TLS records between sidecars: the gateway has no key, and this shows that it needs none.
 */

import type { ServerResponse } from 'node:http';
import { type AdminHandler, sendJson } from '../runtime/admin.ts';
import { TAP_BYTES_MAX, TAP_DURATION_MAX_MS, TAPS_MAX } from './limits.ts';

export class Tap {
  readonly #listeners = new Set<(bytes: Buffer) => void>();

  /** Called for every relayed chunk; costs nothing while nobody taps. */
  offer(bytes: Buffer): void {
    for (const listener of this.#listeners) listener(bytes);
  }

  readonly serve: AdminHandler = (_request, response, url) => {
    const bytesMax = parameter(url, 'bytesMax', TAP_BYTES_MAX);
    const durationMs = parameter(url, 'durationMs', TAP_DURATION_MAX_MS);
    if (bytesMax === undefined || durationMs === undefined) {
      sendJson(response, 400, {
        error: `bytesMax must be 1 to ${TAP_BYTES_MAX}, durationMs 1 to ${TAP_DURATION_MAX_MS}`,
      });
    } else if (this.#listeners.size >= TAPS_MAX) {
      sendJson(response, 429, { error: `${TAPS_MAX} taps are open already` });
    } else {
      this.#stream(response, bytesMax, durationMs);
    }
  };

  #stream(response: ServerResponse, bytesMax: number, durationMs: number): void {
    let left = bytesMax;
    const listener = (bytes: Buffer): void => {
      // Whoever reads into them next does not wait for the tap.
      response.write(Buffer.from(bytes.subarray(0, left)));
      left -= bytes.length;
      if (left <= 0) stop();
    };
    const stop = (): void => {
      clearTimeout(deadline);
      this.#listeners.delete(listener);
      response.end();
    };
    const deadline = setTimeout(stop, durationMs);
    response.on('close', stop);
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.flushHeaders();
    this.#listeners.add(listener);
  }
}

/** Absent means the most that is allowed; undefined means the caller asked for something else. */
function parameter(url: URL, name: string, max: number): number | undefined {
  const text = url.searchParams.get(name) ?? String(max);
  const value = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : undefined;
}

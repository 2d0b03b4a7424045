/**
 * JWT-SVIDs by audience, each used for half its life: software asks for one before every call, and the
 * agent should not notice.
 */

import type { JwtSvid } from '../../cluster-agent/client.ts';
import { JWT_SVIDS_CACHED_MAX } from '../limits.ts';

interface Cached {
  readonly token: string;
  readonly freshUntilMs: number;
}

export class JwtCache {
  readonly #fetch: (audience: readonly string[]) => Promise<JwtSvid>;
  readonly #now: () => number;
  readonly #cached = new Map<string, Cached>();

  constructor(fetch: (audience: readonly string[]) => Promise<JwtSvid>, now: () => number) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Throws what fetching throws. */
  async get(audience: readonly string[]): Promise<string> {
    const key = JSON.stringify(audience);
    const nowMs = this.#now();
    const cached = this.#cached.get(key);
    if (cached !== undefined && nowMs < cached.freshUntilMs) return cached.token;
    const { token, expiresMs } = await this.#fetch(audience);
    this.#cached.delete(key);
    const [oldest] = this.#cached.keys();
    if (oldest !== undefined && this.#cached.size >= JWT_SVIDS_CACHED_MAX) {
      this.#cached.delete(oldest);
    }
    this.#cached.set(key, { token, freshUntilMs: nowMs + (expiresMs - nowMs) / 2 });
    return token;
  }
}

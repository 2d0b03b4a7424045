/** Token buckets: so many at once, so many a second; one for everybody, or one for each caller. */

export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  #tokens: number;
  #countedMs: number;

  constructor(perSecond: number, burst: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
    this.#tokens = burst;
    this.#countedMs = now();
  }

  /** Nobody has drawn on it for so long that it is as good as new. */
  get full(): boolean {
    return this.#earned() >= this.#burst;
  }

  take(): boolean {
    this.#tokens = this.#earned();
    this.#countedMs = this.#now();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #earned(): number {
    const waitedMs = Math.max(0, this.#now() - this.#countedMs);
    return Math.min(this.#burst, this.#tokens + (waitedMs / 1000) * this.#perSecond);
  }
}

export interface CallerLimits {
  readonly perSecond: number;
  readonly burst: number;
  /** Callers remembered; when all of them are busy a new one has to wait. */
  readonly callersMax: number;
}

/** A bucket for each caller, made when it first calls and forgotten once it is full again. */
export class RateLimitByCaller {
  readonly #limits: CallerLimits;
  readonly #now: () => number;
  readonly #callers = new Map<string, RateLimit>();

  constructor(limits: CallerLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  take(caller: string): boolean {
    const known = this.#callers.get(caller);
    if (known !== undefined) return known.take();
    const { perSecond, burst, callersMax } = this.#limits;
    if (this.#callers.size >= callersMax) this.#forgetIdle();
    if (this.#callers.size >= callersMax) return false;
    const limit = new RateLimit(perSecond, burst, this.#now);
    this.#callers.set(caller, limit);
    return limit.take();
  }

  #forgetIdle(): void {
    for (const [caller, limit] of this.#callers) if (limit.full) this.#callers.delete(caller);
  }
}

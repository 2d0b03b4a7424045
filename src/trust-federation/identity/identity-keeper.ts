/**
 * Keeps one process's SVID fresh: a new key and certificate at half its life, on disk and in memory.
 *
 * A failed renewal changes nothing but the log: the SVID in hand serves until it expires, which
 * `current().notAfterMs` shows. The wall clock is read again every minute, so a laptop that slept past
 * its renewal renews when it wakes. A clock that is set back puts nothing off, and asks for a certificate
 * that is good by the new time: peers and OpenSSL would find the one in hand not yet valid.
 */

import { isMeshError, MeshError } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import { steadyClock } from '../../runtime/steady-clock.ts';
import { Backoff, sleep as sleepFor } from '../../runtime/supervise.ts';
import { BACKDATE_MS } from '../x509/certificate.ts';
import { createCsr } from '../x509/csr.ts';
import { generateSvidKey, parseSvid, type Svid, type SvidSource } from './svid.ts';

export interface IdentityKeeperOptions {
  /** Of the task; default "identity". */
  readonly name?: string;
  readonly initial: Svid;
  /** Asks the authority; the chain is leaf first, DER. */
  readonly obtain: (
    csrDer: Buffer,
    signal: AbortSignal,
  ) => Promise<{ readonly chain: readonly Uint8Array[] }>;
  /** Where the SVID survives a restart, such as `svid => saveSvid(dir, svid)`. */
  readonly save: (svid: Svid) => Promise<void>;
  /** Longest wait between attempts that fail; default one minute. */
  readonly retryMaxMs?: number;
  readonly log: Logger;
  readonly now: () => number;
  readonly monotonic?: () => number;
  readonly random?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const CLOCK_CHECK_MS = 60_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

export class IdentityKeeper implements SvidSource {
  readonly name: string;
  readonly #options: IdentityKeeperOptions;
  readonly #random: () => number;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #observers = new Set<() => void>();
  #svid: Svid;
  #renewAtMs = Infinity;
  /** By the wall clock. */
  #cameAtMs = -Infinity;
  /** Ends the wait for the next renewal. */
  #wake = new AbortController();

  constructor(options: IdentityKeeperOptions) {
    this.name = options.name ?? 'identity';
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#sleep = options.sleep ?? sleepFor;
    this.#svid = options.initial;
  }

  current(): Svid {
    return this.#svid;
  }

  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** The SVID in hand has to go, whatever its age: its issuer is being retired. */
  renewNow(): void {
    this.#renewAtMs = -Infinity;
    this.#wake.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const now = steadyClock(this.#options.now, this.#options.monotonic);
    const backoff = new Backoff(
      RETRY_FIRST_MS,
      this.#options.retryMaxMs ?? RETRY_MAX_MS,
      this.#random,
    );
    const stopping = (): boolean => signal.aborted;
    this.#renewAtMs = Math.min(this.#renewAtMs, renewalTime(this.#svid, this.#random));
    this.#cameAtMs = this.#options.now();
    while (!stopping()) {
      if (this.#options.now() < this.#cameAtMs - BACKDATE_MS) {
        this.#cameAtMs = this.#options.now();
        this.#renewAtMs = -Infinity;
      }
      const waitMs = this.#renewAtMs - now();
      if (waitMs > 0) {
        this.#wake = new AbortController();
        const either = AbortSignal.any([signal, this.#wake.signal]);
        await this.#sleep(Math.min(waitMs, CLOCK_CHECK_MS), either);
        continue;
      }
      try {
        await this.#renew(signal);
        backoff.reset();
        this.#cameAtMs = this.#options.now();
        const restMs = Math.max(renewAfter(this.#svid, this.#random), RETRY_FIRST_MS);
        this.#renewAtMs = now() + restMs;
      } catch (error) {
        if (!isMeshError(error)) throw error;
        const expires = new Date(this.#svid.notAfterMs).toISOString();
        if (!stopping()) log.warn({ error, id: this.#svid.id, expires }, 'svid not renewed');
        this.#renewAtMs = now() + backoff.next();
      }
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { log, obtain } = this.#options;
    const key = generateSvidKey();
    const { chain } = await obtain(createCsr(key, this.#svid.id), signal);
    const svid = parseSvid(chain, key);
    if (svid.id !== this.#svid.id) {
      throw new MeshError(
        'CERTIFICATE_INVALID',
        `asked for a certificate of "${this.#svid.id}", was given one of "${svid.id}"`,
      );
    }
    this.#svid = svid;
    for (const observer of [...this.#observers]) observer();
    log.info({ id: svid.id, expires: new Date(svid.notAfterMs).toISOString() }, 'svid renewed');
    await this.#save(svid);
  }

  /** A full disk must not cost the process its fresh certificate. */
  async #save(svid: Svid): Promise<void> {
    const { log, save } = this.#options;
    try {
      await save(svid);
    } catch (error) {
      log.error({ error, id: svid.id }, 'svid not saved');
    }
  }
}

function renewalTime(svid: Svid, random: () => number): number {
  return svid.notBeforeMs + BACKDATE_MS + renewAfter(svid, random);
}

/**
 * Half its life, give or take a tenth: proxies that started together do not renew together. Counted from
 * when it came, by our clock: the issuer's may differ.
 */
function renewAfter({ notBeforeMs, notAfterMs }: Svid, random: () => number): number {
  return (notAfterMs - notBeforeMs - BACKDATE_MS) * (0.4 + random() * 0.2);
}

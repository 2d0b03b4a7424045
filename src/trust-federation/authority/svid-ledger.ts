/**
 * Which workload certificates are alive, and whether whoever holds them was heard of: the proof that an
 * old root is drained is that nothing of it is in here any more.
 *
 * Each first certificate begins a succession; each renewal continues the one of the certificate it was
 * asked with. Once a process shows a certificate, the others before it in its succession are done with.
 * The list is saved a moment after it changes, and during a rollover before the holder has what was
 * issued. What its bound or a damaged file loses makes it incomplete for as long as that can live, and it
 * says so; what a crash outside a rollover loses (seconds) comes back when its holder shows it.
 */

import type { RootId } from '../../mesh/root-slots.ts';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import { SvidLedger as SvidLedgerMessage } from '../../wire/generated/isthmus/trust/v1/authority.ts';

export interface LedgerEntry {
  /** SHA-256 of the certificate, hex. */
  readonly sha256: string;
  readonly id: SpiffeId;
  readonly root: RootId;
  readonly issuedAtMs: number;
  readonly notAfterMs: number;
  /** The first certificate of its succession. */
  readonly lineage: string;
}

export interface SvidLedgerOptions {
  readonly entriesMax: number;
  readonly now: () => number;
  /** The list is worth saving. */
  readonly onChange: () => void;
}

export class SvidLedger {
  readonly #options: SvidLedgerOptions;
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #lineages = new Map<string, Set<string>>();
  /** Successions of which a certificate was seen in use. */
  readonly #heard = new Set<string>();
  /** The newest certificate of each of the others. */
  readonly #unheard = new Map<string, LedgerEntry>();
  /** Certificates that a process was seen to use. */
  readonly #served = new Set<string>();
  #incompleteUntilMs = 0;

  constructor(options: SvidLedgerOptions) {
    this.#options = options;
  }

  /** `renews`: the certificate (SHA-256) it was asked with. */
  issued(entry: Omit<LedgerEntry, 'issuedAtMs' | 'lineage'>, renews: string | undefined): void {
    const lineage =
      renews === undefined ? entry.sha256 : (this.#entries.get(renews)?.lineage ?? renews);
    this.#add({ ...entry, issuedAtMs: this.#options.now(), lineage });
    this.#makeRoom();
    this.#options.onChange();
  }

  /** A process has proven that it uses this one; what a crash made us forget is known again. */
  served(shown: Omit<LedgerEntry, 'issuedAtMs' | 'lineage'>): void {
    const { sha256 } = shown;
    if (this.#served.has(sha256)) return;
    if (!this.#entries.has(sha256)) this.issued(shown, undefined);
    const entry = this.#entries.get(sha256);
    if (entry === undefined) return;
    this.#served.add(sha256);
    this.#heard.add(entry.lineage);
    this.#unheard.delete(entry.lineage);
    for (const earlier of this.#lineages.get(entry.lineage) ?? []) {
      if (earlier === sha256) break;
      this.#remove(earlier);
    }
    this.#options.onChange();
  }

  /** One certificate for each holder that may be alive and was not heard of. */
  unheard(): LedgerEntry[] {
    const nowMs = this.#options.now();
    return [...this.#unheard.values()].filter(({ notAfterMs }) => notAfterMs > nowMs);
  }

  /** Unexpired, oldest first. */
  alive(): LedgerEntry[] {
    const nowMs = this.#options.now();
    for (const [sha256, { notAfterMs }] of this.#entries) {
      if (notAfterMs <= nowMs) this.#remove(sha256);
    }
    return [...this.#entries.values()];
  }

  /** Until then there may be certificates that are not in the list; undefined when all are. */
  get incompleteUntilMs(): number | undefined {
    return this.#incompleteUntilMs > this.#options.now() ? this.#incompleteUntilMs : undefined;
  }

  /** There is an authority, but no list of what it issued. */
  lost(lifetimeMsMax: number): void {
    this.#incompleteUntilMs = this.#options.now() + lifetimeMsMax;
    this.#options.onChange();
  }

  serialise(): Uint8Array {
    return SvidLedgerMessage.encode({
      entries: this.alive().map(entry => ({
        sha256: Buffer.from(entry.sha256, 'hex'),
        spiffeId: entry.id,
        rootSha256: Buffer.from(entry.root, 'hex'),
        issuedAtMs: BigInt(Math.round(entry.issuedAtMs)),
        notAfterMs: BigInt(entry.notAfterMs),
        lineage: Buffer.from(entry.lineage, 'hex'),
      })),
      incompleteUntilMs: BigInt(Math.round(this.#incompleteUntilMs)),
    }).finish();
  }

  /** What `serialise` wrote. */
  restore(content: Uint8Array): void {
    const { entries, incompleteUntilMs } = SvidLedgerMessage.decode(content);
    this.#incompleteUntilMs = Number(incompleteUntilMs);
    for (const entry of entries) {
      this.#add({
        sha256: entry.sha256.toString('hex'),
        id: entry.spiffeId as SpiffeId,
        root: entry.rootSha256.toString('hex') as RootId,
        issuedAtMs: Number(entry.issuedAtMs),
        notAfterMs: Number(entry.notAfterMs),
        lineage: entry.lineage.toString('hex'),
      });
    }
  }

  #add(entry: LedgerEntry): void {
    this.#entries.set(entry.sha256, entry);
    const line = this.#lineages.get(entry.lineage) ?? new Set();
    this.#lineages.set(entry.lineage, line.add(entry.sha256));
    // The newest lives longest.
    if (!this.#heard.has(entry.lineage)) this.#unheard.set(entry.lineage, entry);
  }

  #remove(sha256: string): void {
    const entry = this.#entries.get(sha256);
    if (entry === undefined) return;
    this.#entries.delete(sha256);
    this.#served.delete(sha256);
    const line = this.#lineages.get(entry.lineage);
    line?.delete(sha256);
    if (line?.size === 0) {
      this.#lineages.delete(entry.lineage);
      this.#heard.delete(entry.lineage);
      this.#unheard.delete(entry.lineage);
    }
  }

  #makeRoom(): void {
    const { entriesMax } = this.#options;
    const nowMs = this.#options.now();
    // The oldest goes first, which is most often the one that expires first; an expired one costs nothing.
    for (const [sha256, { notAfterMs }] of this.#entries) {
      if (this.#entries.size <= entriesMax) return;
      if (notAfterMs > nowMs) {
        this.#incompleteUntilMs = Math.max(this.#incompleteUntilMs, notAfterMs);
      }
      this.#remove(sha256);
    }
  }
}

/**
 * What this cluster's proxies verify with, as the record that other clusters wait for.
 *
 * Every proxy counts that may be verifying peers now: those that reported and those that hold a
 * certificate and were not heard of since this process started.
 */

import { type Collection, Table } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import {
  type OfferedBundle,
  type ProxyTrust,
  type TrustAck,
  trustAcks,
} from '../../mesh/trust-acks.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { sleep } from '../../runtime/supervise.ts';
import type { SvidLedger } from '../../trust-federation/authority/svid-ledger.ts';
import { ACKS_DELAY_MS } from '../limits.ts';
import type { ProxyKey, ProxyReport } from '../proxies/proxy-reports.ts';

export interface TrustAcksOptions {
  readonly reports: Collection<ProxyKey, ProxyReport>;
  readonly ledger: SvidLedger;
  /** What proxies are told to verify with. */
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly now: () => number;
}

export class TrustAcks {
  readonly name = 'trust-acks';
  readonly acks = new Table<TrustDomain, TrustAck>('trust-acks');
  readonly #options: TrustAcksOptions;
  readonly #offered = new Map<TrustDomain, OfferedBundle>();

  constructor(options: TrustAcksOptions) {
    this.#options = options;
    this.#sum();
  }

  /** Reports arrive by the thousand and certificates expire in silence: looked at in a steady beat. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#sum();
      await sleep(ACKS_DELAY_MS, signal);
    }
  }

  #sum(): void {
    const acks = trustAcks(this.#offers(), this.#proxies());
    this.acks.replaceAll(acks.map(ack => [ack.trustDomain, ack] as const));
  }

  #offers(): Iterable<OfferedBundle> {
    const { bundles, now } = this.#options;
    for (const trustDomain of this.#offered.keys()) {
      if (bundles.get(trustDomain) === undefined) this.#offered.delete(trustDomain);
    }
    for (const { trustDomain, sequence } of bundles.entries().values()) {
      if (this.#offered.get(trustDomain)?.sequence === sequence) continue;
      this.#offered.set(trustDomain, { trustDomain, sequence, sinceMs: now() });
    }
    return this.#offered.values();
  }

  #proxies(): ProxyTrust[] {
    const { reports, ledger, now } = this.#options;
    const nowMs = now();
    const heard = [...reports.entries().values()].filter(({ svid }) => svid.notAfterMs > nowMs);
    return [
      ...heard.map(({ proxy, bundles, atMs }) => ({ proxy, bundles, lastHeardMs: atMs })),
      ...ledger.unheard().map(({ id, issuedAtMs }) => ({
        proxy: id,
        bundles: undefined,
        lastHeardMs: issuedAtMs,
      })),
    ];
  }
}

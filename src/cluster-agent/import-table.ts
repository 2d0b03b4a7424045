/**
 * The ClusterSet's services, merged from what each cluster offers (mesh/imports.ts), and merged again only
 * where an offer changed: an agent has them all, and one endpoint's change must not cost all of them.
 */

import { type Change, Table } from '../mesh/collection.ts';
import { type ImportedService, importServices, withoutTombstones } from '../mesh/imports.ts';
import type { ClusterName, ServiceKey } from '../mesh/names.ts';
import { type ExportedService, keyOf } from '../mesh/service.ts';

export interface Offer {
  readonly exports: readonly ExportedService[];
  readonly isServed: boolean;
}

interface KnownOffer extends Offer {
  readonly byKey: ReadonlyMap<ServiceKey, ExportedService>;
}

export class ImportTable {
  readonly services = new Table<ServiceKey, ImportedService>('imports');
  readonly #offers = new Map<ClusterName, KnownOffer>();
  readonly #exporters = new Map<ServiceKey, readonly ClusterName[]>();

  /** All there are. An offer of the same exports is one with the same array, a service that is the same is the same object. */
  refresh(offers: ReadonlyMap<ClusterName, Offer>): void {
    const touched = new Set<ServiceKey>();
    for (const [cluster, offer] of offers) this.#note(cluster, offer, touched);
    for (const cluster of [...this.#offers.keys()]) {
      if (!offers.has(cluster)) this.#note(cluster, undefined, touched);
    }
    this.services.apply([...touched].map(key => this.#merged(key)));
  }

  #note(cluster: ClusterName, offer: Offer | undefined, touched: Set<ServiceKey>): void {
    const before = this.#offers.get(cluster);
    const servedAsBefore = before?.isServed === offer?.isServed;
    if (servedAsBefore && before?.exports === offer?.exports) return;
    const byKey = new Map((offer?.exports ?? []).map(each => [keyOf(each), each]));
    if (offer === undefined) this.#offers.delete(cluster);
    else this.#offers.set(cluster, { ...offer, byKey });
    for (const [key, service] of byKey) {
      const known = before?.byKey.get(key);
      if (servedAsBefore && known === service) continue;
      if (known === undefined) {
        this.#exporters.set(key, [...(this.#exporters.get(key) ?? []), cluster]);
      }
      touched.add(key);
    }
    for (const key of before?.byKey.keys() ?? []) {
      if (byKey.has(key)) continue;
      const others = (this.#exporters.get(key) ?? []).filter(each => each !== cluster);
      if (others.length === 0) this.#exporters.delete(key);
      else this.#exporters.set(key, others);
      touched.add(key);
    }
  }

  #merged(key: ServiceKey): Change<ServiceKey, ImportedService> {
    const exporters = this.#exporters.get(key) ?? [];
    const offered = new Map<ClusterName, readonly ExportedService[]>();
    for (const cluster of exporters) {
      const service = this.#offers.get(cluster)?.byKey.get(key);
      if (service !== undefined) offered.set(cluster, [service]);
    }
    const isServed = (cluster: ClusterName): boolean =>
      this.#offers.get(cluster)?.isServed === true;
    const value = importServices(withoutTombstones(offered, isServed)).get(key);
    return value === undefined ? { kind: 'delete', key } : { kind: 'put', key, value };
  }
}

/**
 * How far each cluster's agent has come in the table, as it last said in a keep-alive to this process.
 *
 * In memory: an agent speaks every few seconds to one registry process or another, so whoever wants the
 * whole picture asks all of them.
 */

import type { ClusterName, ServiceKey } from '../mesh/names.ts';
import type { Standing } from '../mesh/ownership.ts';
import type { WatchPosition } from '../wire/registry-records.ts';
import { type RecordRow, sees } from './table/table.ts';
import type { TableMirror } from './table/table-mirror.ts';

export interface Importer {
  readonly cluster: ClusterName;
  /** Applied by its agent. */
  readonly revision: string;
  /** Whether that is the newest of this export. */
  readonly current: boolean;
  readonly seenMs: number;
}

export interface ExportView {
  readonly service: ServiceKey;
  readonly cluster: ClusterName;
  readonly standing: Standing;
  readonly endpoints: number;
  /** Of the last change to it. */
  readonly revision: string;
  /** Clusters that may see it and have reported to this process. */
  readonly importers: readonly Importer[];
}

export class Importers {
  readonly #mirror: TableMirror;
  readonly #now: () => number;
  readonly #applied = new Map<ClusterName, { position: WatchPosition; seenMs: number }>();

  constructor(mirror: TableMirror, now: () => number) {
    this.#mirror = mirror;
    this.#now = now;
  }

  report(cluster: ClusterName, position: WatchPosition): void {
    this.#applied.set(cluster, { position, seenMs: this.#now() });
  }

  exports(): ExportView[] {
    const { table } = this.#mirror;
    return [...table.services()].flatMap(([service, rows]) => {
      const standing = table.standings(service);
      return [...standing].map(([cluster, each]) =>
        this.#view(
          service,
          cluster,
          each,
          rows.filter(row => row.cluster === cluster),
        ),
      );
    });
  }

  #view(
    service: ServiceKey,
    cluster: ClusterName,
    standing: Standing,
    rows: readonly RecordRow[],
  ): ExportView {
    const revision = rows.reduce(
      (max, { entry }) => (entry.revision > max ? entry.revision : max),
      0n,
    );
    const endpoints = rows.reduce(
      (sum, { record }) => sum + (record.kind === 'export-slice' ? record.slice.endpoints : 0),
      0,
    );
    const importers = [...this.#applied].flatMap(([reader, { position, seenMs }]) => {
      const imports = reader !== cluster && rows.some(row => sees(reader, row));
      if (!imports || position.storeId !== this.#mirror.storeId) return [];
      const current = position.revision >= revision;
      return [{ cluster: reader, revision: String(position.revision), current, seenMs }];
    });
    return { service, cluster, standing, endpoints, revision: String(revision), importers };
  }
}

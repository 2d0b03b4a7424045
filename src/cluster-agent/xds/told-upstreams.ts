/**
 * The upstreams a proxy is told of, each with what it has lost on purpose: endpoints that were taken back
 * lately (withdrawals.ts), and those that a policy leaves out. What is missing for no such reason, the
 * proxy will keep (mesh/shrinkage.ts).
 *
 * Worked out again only for services that changed, and only those are handed on: one endpoint's change in
 * a hundred thousand services must not cost a hundred thousand services. Collections keep a row that
 * stays equal, so a service is the same as before when it is the same object.
 */

import type { ImportedService } from '../../mesh/imports.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import { type EndpointHash, endpointHash, type LocalService } from '../../mesh/service.ts';
import type { Upstream } from '../../mesh/upstream.ts';
import type { Withdrawn } from '../registry/withdrawals.ts';

export interface ToldUpstream {
  readonly upstream: Upstream;
  /** The service is no more: nobody is to call it, but what it had is still to be taken back. */
  readonly isGone: boolean;
  readonly withdrawn: readonly EndpointHash[];
}

/** What is told of one service. */
export interface ToldChange {
  readonly before: readonly ToldUpstream[];
  readonly after: readonly ToldUpstream[];
}

type Service = LocalService | ImportedService;

export interface Tellable<S extends Service> {
  readonly services: ReadonlyMap<ServiceKey, S>;
  readonly withdrawn: ReadonlyMap<ServiceKey, Withdrawn<S>>;
  readonly policies: ReadonlyMap<ServiceKey, unknown>;
  /** Everything that every service depends on; when any of it is another, all are told anew. */
  readonly context: readonly unknown[];
  readonly upstreamsOf: (service: S) => readonly Upstream[];
}

interface Remembered<S> {
  readonly service: S;
  readonly isGone: boolean;
  readonly policy: unknown;
  readonly taken: string;
  readonly told: readonly ToldUpstream[];
}

/** What one class of proxies was told of each service the last time. */
export class ToldUpstreams<S extends Service> {
  readonly #remembered = new Map<ServiceKey, Remembered<S>>();
  #context: readonly unknown[] = [];

  /** What is to be told otherwise than the last time. */
  changes({ services, withdrawn, policies, context, upstreamsOf }: Tellable<S>): ToldChange[] {
    const isSame =
      context.length === this.#context.length &&
      context.every((each, i) => each === this.#context[i]);
    this.#context = context;
    const changes: ToldChange[] = [];
    const tell = (key: ServiceKey, service: S, isGone: boolean): void => {
      const before = this.#remembered.get(key);
      const policy = policies.get(key);
      const endpoints = withdrawn.get(key)?.endpoints ?? [];
      const taken = endpoints.join();
      const isTold =
        isSame &&
        before?.service === service &&
        before.isGone === isGone &&
        before.policy === policy &&
        before.taken === taken;
      if (isTold) return;
      const shown = isGone ? { ...service, endpoints: [] } : service;
      const told = upstreamsOf(shown).map(upstream => ({
        upstream,
        isGone,
        withdrawn: [...endpoints, ...leftOut(shown, upstream)],
      }));
      this.#remembered.set(key, { service, isGone, policy, taken, told });
      changes.push({ before: before?.told ?? [], after: told });
    };
    for (const [key, service] of services) tell(key, service, false);
    let gone = 0;
    for (const [key, each] of withdrawn) {
      if (each.gone === undefined || services.has(key)) continue;
      gone += 1;
      tell(key, each.gone, true);
    }
    if (this.#remembered.size === services.size + gone) return changes;
    for (const [key, { told }] of this.#remembered) {
      if (services.has(key) || withdrawn.get(key)?.gone !== undefined) continue;
      this.#remembered.delete(key);
      changes.push({ before: told, after: [] });
    }
    return changes;
  }
}

function leftOut({ endpoints }: Service, upstream: Upstream): EndpointHash[] {
  if (endpoints.length === upstream.endpoints.length) return [];
  const sent = new Set(upstream.endpoints.map(({ hash }) => hash));
  return endpoints
    .map(({ cluster, workload }) => endpointHash(cluster, workload))
    .filter(hash => !sent.has(hash));
}

/**
 * The upstreams a proxy is told of, each with what it has lost on purpose: endpoints that were taken back
 * lately (withdrawals.ts), and those that a policy leaves out. What is missing for no such reason, the
 * proxy will keep (mesh/shrinkage.ts).
 *
 * Worked out again only for services that changed: one endpoint's change in a hundred thousand services
 * must not cost a hundred thousand services. Collections keep a row that stays equal, so a service is
 * the same as before when it is the same object.
 */

import type { ImportedService } from '../../mesh/imports.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import { type EndpointHash, endpointHash, keyOf, type LocalService } from '../../mesh/service.ts';
import type { Upstream } from '../../mesh/upstream.ts';
import type { Withdrawn } from '../registry/withdrawals.ts';

export interface ToldUpstream {
  readonly upstream: Upstream;
  /** The service is no more: nobody is to call it, but what it had is still to be taken back. */
  readonly isGone: boolean;
  readonly withdrawn: readonly EndpointHash[];
}

type Service = LocalService | ImportedService;

interface Remembered {
  /** What this service in particular depends on. */
  readonly policy: unknown;
  readonly taken: string;
  readonly told: readonly ToldUpstream[];
}

/** What one class of proxies was told of each service the last time. */
export class ToldUpstreams {
  #context: readonly unknown[] = [];
  #remembered = new WeakMap<Service, Remembered>();
  readonly #routes = new Map<string, { readonly names: string; readonly bytes: Buffer }>();

  /** `context`: everything that every service depends on; when any of it is another, all are. */
  under(context: readonly unknown[]): this {
    const isSame =
      context.length === this.#context.length &&
      context.every((each, i) => each === this.#context[i]);
    if (!isSame) this.#remembered = new WeakMap();
    this.#context = context;
    return this;
  }

  /** Routes depend on names alone, which change seldom. */
  routes(name: string, upstreams: readonly Upstream[], format: () => Buffer): Buffer {
    const names = upstreams.map(upstream => upstream.name).join();
    const known = this.#routes.get(name);
    if (known?.names === names) return known.bytes;
    const bytes = format();
    this.#routes.set(name, { names, bytes });
    return bytes;
  }

  of<S extends Service>(
    services: readonly S[],
    withdrawn: ReadonlyMap<ServiceKey, Withdrawn<S>>,
    policies: ReadonlyMap<ServiceKey, unknown>,
    upstreamsOf: (service: S) => readonly Upstream[],
  ): ToldUpstream[] {
    const told: ToldUpstream[] = [];
    for (const service of services) {
      const key = keyOf(service);
      const taken = withdrawn.get(key)?.endpoints ?? [];
      const policy = policies.get(key);
      const before = this.#remembered.get(service);
      if (before?.policy === policy && before?.taken === taken.join()) told.push(...before.told);
      else {
        const now = tell(service, false, taken, upstreamsOf);
        this.#remembered.set(service, { policy, taken: taken.join(), told: now });
        told.push(...now);
      }
    }
    for (const { gone, endpoints } of withdrawn.values()) {
      if (gone === undefined) continue;
      told.push(...tell({ ...gone, endpoints: [] }, true, endpoints, upstreamsOf));
    }
    return told;
  }
}

function tell<S extends Service>(
  service: S,
  isGone: boolean,
  taken: readonly EndpointHash[],
  upstreamsOf: (service: S) => readonly Upstream[],
): ToldUpstream[] {
  return upstreamsOf(service).map(upstream => ({
    upstream,
    isGone,
    withdrawn: [...taken, ...leftOut(service, upstream)],
  }));
}

function leftOut({ endpoints }: Service, upstream: Upstream): EndpointHash[] {
  if (endpoints.length === upstream.endpoints.length) return [];
  const sent = new Set(upstream.endpoints.map(({ hash }) => hash));
  return endpoints
    .map(({ cluster, workload }) => endpointHash(cluster, workload))
    .filter(hash => !sent.has(hash));
}

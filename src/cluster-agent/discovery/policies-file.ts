/**
 * The policies file: how the workloads of this cluster call services, written by a person.
 *
 * Each entry is one service; what it does not say is as for services without an entry. A cluster or region
 * that stands in two groups, or a service that stands twice, could only be a mistake.
 */

import * as v from 'valibot';
import type { FailoverGroup, FailoverPolicy, ServicePolicy } from '../../mesh/failover-policy.ts';
import { type ServiceKey, serviceKey } from '../../mesh/names.ts';
import { DEFAULT_OVERPROVISIONING, DEFAULT_POLICY } from '../../mesh/upstream.ts';
import {
  clusterName,
  duration,
  namespace,
  object,
  parseConfig,
  percent,
  readConfig,
  serviceName,
} from '../../runtime/config.ts';
import { FAILOVER_GROUPS_MAX } from '../limits.ts';
import { type Contradiction, withoutContradictions } from './contradictions.ts';

const weight = () =>
  v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(1, 'must be at least 1; leave it out to send it nothing'),
    v.maxValue(1000, 'must be at most 1000'),
  );

const REGION = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9._-]{1,63}$/, 'must be 1 to 63 letters, digits, ".", "_" or "-"'),
);

const group = v.pipe(
  object({
    clusters: v.optional(v.record(clusterName(), weight())),
    regions: v.optional(v.record(REGION, weight())),
    spillBelow: v.optional(percent(1, 100)),
  }),
  v.check(
    ({ clusters, regions }) => (clusters === undefined) !== (regions === undefined),
    'must have clusters or regions, and not both',
  ),
  v.check(
    ({ clusters, regions }) => Object.keys(clusters ?? regions ?? { none: 1 }).length > 0,
    'must name at least one cluster or region',
  ),
);

const failover = object({
  /** For groups without `spillBelow`. Envoy's factor. */
  overprovisioning: v.optional(percent(100, 1000)),
  groups: v.pipe(
    v.array(group),
    v.minLength(1, 'must have at least one group'),
    v.maxLength(FAILOVER_GROUPS_MAX, `must have at most ${FAILOVER_GROUPS_MAX} groups`),
  ),
});

const entry = object({
  namespace: namespace(),
  service: serviceName(),
  balancing: v.optional(v.picklist(['round-robin', 'least-request'])),
  /** To the head of the answer; a request may say otherwise. */
  timeout: v.optional(duration()),
  /** After which what is idempotent is tried elsewhere. */
  tryTimeout: v.optional(duration()),
  /** Healthy share of a level below which ejected endpoints are used again; 0% for never. */
  panicBelow: v.optional(percent(0, 100)),
  outliers: v.optional(
    object({
      /** Bad answers, or calls broken off, in a row. */
      ejectAfter: v.optional(
        v.pipe(
          v.number(),
          v.integer('must be a whole number'),
          v.minValue(1, 'must be at least 1'),
          v.maxValue(1_000_000, 'must be at most 1000000'),
        ),
      ),
      atMost: v.optional(percent(0, 100)),
    }),
  ),
  failover: v.optional(failover),
});

const policiesFile = object({
  policies: v.pipe(v.array(entry), withoutContradictions(contradictions)),
});

type Entry = v.InferOutput<typeof entry>;
type Policies = readonly (readonly [ServiceKey, ServicePolicy])[];

/** Throws CONFIG_UNREADABLE, or CONFIG_INVALID with every problem. */
export function loadPoliciesFile(file: string): Policies {
  return parsePoliciesFile(readConfig(file), file);
}

/** `file` labels the problems. Throws CONFIG_INVALID. */
export function parsePoliciesFile(text: string, file: string): Policies {
  return parseConfig(text, file, policiesFile).policies.map(toPolicy);
}

function toPolicy(each: Entry): readonly [ServiceKey, ServicePolicy] {
  const { outliers } = each;
  return [
    serviceKey(each.namespace, each.service),
    {
      upstream: {
        balancing: each.balancing ?? DEFAULT_POLICY.balancing,
        panicBelowPercent: each.panicBelow ?? DEFAULT_POLICY.panicBelowPercent,
        ejectedPercentMax: outliers?.atMost ?? DEFAULT_POLICY.ejectedPercentMax,
        ejectAfterFailures: outliers?.ejectAfter ?? DEFAULT_POLICY.ejectAfterFailures,
        timeoutMs: each.timeout ?? DEFAULT_POLICY.timeoutMs,
        tryTimeoutMs: each.tryTimeout ?? DEFAULT_POLICY.tryTimeoutMs,
      },
      failover: each.failover === undefined ? undefined : toFailover(each.failover),
    },
  ];
}

function toFailover({ groups, overprovisioning }: v.InferOutput<typeof failover>): FailoverPolicy {
  return {
    overprovisioning: overprovisioning ?? DEFAULT_OVERPROVISIONING,
    groups: groups.map(
      ({ clusters, regions, spillBelow }): FailoverGroup => ({
        by: clusters === undefined ? 'region' : 'cluster',
        weights: new Map(Object.entries<number>({ ...clusters, ...regions })),
        spillBelowPercent: spillBelow,
      }),
    ),
  };
}

function contradictions(entries: readonly Entry[]): Contradiction[] {
  const found: Contradiction[] = [];
  const services = new Set<string>();
  for (const [e, each] of entries.entries()) {
    const key = serviceKey(each.namespace, each.service);
    if (services.has(key)) {
      const message = `must be another service: "${key}" has a policy already`;
      found.push({ path: `${e}.service`, message, found: each.service });
    }
    services.add(key);
    const named = new Set<string>();
    for (const [g, { clusters, regions }] of (each.failover?.groups ?? []).entries()) {
      const kind = clusters === undefined ? 'regions' : 'clusters';
      for (const name of Object.keys(clusters ?? regions ?? {})) {
        const path = `${e}.failover.groups.${g}.${kind}.${name}`;
        const message = 'must stand in one group only';
        if (named.has(`${kind} ${name}`)) found.push({ path, message, found: name });
        named.add(`${kind} ${name}`);
      }
    }
  }
  return found;
}

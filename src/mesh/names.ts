/**
 * Names, parsed once at the edge and branded from there on.
 *
 * Every name here becomes a DNS label, a path segment of a SPIFFE ID and a part of a registry key,
 * so the one grammar is the strictest of the three: an RFC 1123 label (lower case, digits, hyphen,
 * at most 63, no hyphen at either end).
 */

import { MeshError } from './errors.ts';

declare const brand: unique symbol;
/** A string that a parser has accepted; costs nothing at run time. */
export type Branded<T, B extends string> = T & { readonly [brand]: B };

export type ClusterName = Branded<string, 'ClusterName'>;
export type Namespace = Branded<string, 'Namespace'>;
export type ServiceName = Branded<string, 'ServiceName'>;
export type WorkloadName = Branded<string, 'WorkloadName'>;
export type ServiceAccount = Branded<string, 'ServiceAccount'>;
/** `<namespace>/<service>`: a service's key in every collection. */
export type ServiceKey = Branded<string, 'ServiceKey'>;

export const DNS_LABEL_CHARS_MAX = 63;
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function isDnsLabel(text: string): boolean {
  return DNS_LABEL.test(text);
}

export function parseClusterName(text: string): ClusterName {
  return parseLabel('cluster name', text) as ClusterName;
}
export function parseNamespace(text: string): Namespace {
  return parseLabel('namespace', text) as Namespace;
}
export function parseServiceName(text: string): ServiceName {
  return parseLabel('service name', text) as ServiceName;
}
export function parseWorkloadName(text: string): WorkloadName {
  return parseLabel('workload name', text) as WorkloadName;
}
export function parseServiceAccount(text: string): ServiceAccount {
  return parseLabel('service account', text) as ServiceAccount;
}

export function serviceKey(namespace: Namespace, name: ServiceName): ServiceKey {
  return `${namespace}/${name}` as ServiceKey;
}

/** The parts of a `ServiceKey`. Throws NAME_INVALID. */
export function parseServiceKey(text: string): {
  readonly namespace: Namespace;
  readonly name: ServiceName;
} {
  const [namespace, name, ...rest] = text.split('/');
  if (namespace === undefined || name === undefined || rest.length > 0) {
    throw new MeshError('NAME_INVALID', 'must be <namespace>/<service>, such as shop/payments');
  }
  return { namespace: parseNamespace(namespace), name: parseServiceName(name) };
}

/** Throws NAME_INVALID with the value found and the rule it broke. */
function parseLabel(what: string, text: string): string {
  if (DNS_LABEL.test(text)) return text;
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  const why =
    text.length > DNS_LABEL_CHARS_MAX
      ? `is ${text.length} characters long; use at most ${DNS_LABEL_CHARS_MAX}`
      : 'must be lower-case letters, digits and "-", not starting or ending with "-" (RFC 1123 label)';
  throw new MeshError('NAME_INVALID', `${what} ${JSON.stringify(shown)} ${why}`);
}

/**
 * xDS resources as opaque, versioned bytes: what the agent caches, a stream carries and a proxy keeps
 * on disk. The codecs beside this file give the bytes their meaning.
 */

import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { Any } from '../generated/google/protobuf/any.ts';

const ENVOY = 'type.googleapis.com/envoy';

export const RESOURCE_TYPE_URLS = {
  'extension-config': `${ENVOY}.config.core.v3.TypedExtensionConfig`,
  secret: `${ENVOY}.extensions.transport_sockets.tls.v3.Secret`,
  cluster: `${ENVOY}.config.cluster.v3.Cluster`,
  'load-assignment': `${ENVOY}.config.endpoint.v3.ClusterLoadAssignment`,
  listener: `${ENVOY}.config.listener.v3.Listener`,
  'route-configuration': `${ENVOY}.config.route.v3.RouteConfiguration`,
} as const;

export type ResourceType = keyof typeof RESOURCE_TYPE_URLS;

/**
 * What refers comes after what it refers to, so a proxy never holds a route without its cluster.
 * Secrets lead (Envoy's own order has them last, because it fetches them while a cluster warms up):
 * an endpoint of a new trust domain must not arrive before the roots that vouch for it. Before them stands
 * who may call: whoever can be verified must not be turned away because that is not known yet.
 */
export const RESOURCE_ORDER: readonly ResourceType[] = [
  'extension-config',
  'secret',
  'cluster',
  'load-assignment',
  'listener',
  'route-configuration',
];

export interface XdsResource {
  readonly name: string;
  /** Equal versions mean equal bytes, also across restarts of the agent. */
  readonly version: string;
  readonly bytes: Buffer;
}

export function resourceTypeOf(typeUrl: string): ResourceType | undefined {
  return RESOURCE_ORDER.find(type => RESOURCE_TYPE_URLS[type] === typeUrl);
}

/** A message type as ts-proto generates it. */
interface Message<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export function encodeMessage<T>(type: Message<T>, message: T): Buffer {
  return Buffer.from(type.encode(message).finish());
}

export function pack<T>(typeUrl: string, type: Message<T>, message: T): Any {
  return { typeUrl, value: encodeMessage(type, message) };
}

const NAME_SHOWN_CHARS = 300;

/** What is wrong with one field; `parseResource` adds whose field it is. */
export class FieldError extends Error {
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
  }
}

export function unpack<T>(
  any: Any | undefined,
  typeUrl: string,
  type: Message<T>,
  path: string,
): T {
  const found = required(any, path);
  if (found.typeUrl !== typeUrl) {
    throw new FieldError(path, `is "${found.typeUrl.slice(0, 200)}" where "${typeUrl}" must be`);
  }
  return type.decode(found.value);
}

export function required<T>(value: T | undefined, path: string): T {
  if (value === undefined) throw new FieldError(path, 'missing');
  return value;
}

/**
 * Decodes and reads one resource. Throws PROTOCOL_VIOLATION naming the resource and the field, which
 * is what a NACK carries.
 */
export function parseResource<M, T>(
  what: ResourceType,
  type: Pick<Message<M>, 'decode'>,
  bytes: Uint8Array,
  nameOf: (message: M) => string,
  read: (message: M) => T,
): T {
  let name = '?';
  try {
    const message = type.decode(bytes);
    name = nameOf(message).slice(0, NAME_SHOWN_CHARS);
    return read(message);
  } catch (cause) {
    throw new MeshError('PROTOCOL_VIOLATION', `${what} "${name}": ${messageOf(cause)}`, { cause });
  }
}

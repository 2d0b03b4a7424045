/**
 * What both ends of our gRPC share: the shape of a generated method, limits, and how a MeshError
 * travels. The code goes in the metadata `isthmus-error-code`, the message in grpc-message, so a
 * refusal at the server is the same error at the client.
 */

import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERROR_CODES, type ErrorCode, isMeshError, MeshError, messageOf } from '../mesh/errors.ts';

/** A message type as ts-proto generates it. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A method as ts-proto's generic definitions describe it. */
export interface RpcMethod<Req, Res> {
  readonly name: string;
  readonly requestType: MessageCodec<Req>;
  readonly requestStream: boolean;
  readonly responseType: MessageCodec<Res>;
  readonly responseStream: boolean;
}

export interface RpcDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, RpcMethod<never, never>>>;
}

/** Either way; a larger message is refused with RESOURCE_EXHAUSTED before it is decoded. */
export const RPC_MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Of an error's message: encoded, up to nine times as long, it still fits one frame of headers. */
const STATUS_CHARS_MAX = 1_000;

/** Finds a peer that vanished without a FIN within 15 s; needed on streams that may stay quiet. */
export const RPC_KEEPALIVE = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': RPC_MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': RPC_MESSAGE_BYTES_MAX,
  'grpc.enable_channelz': 0,
} as const;

const CODE_KEY = 'isthmus-error-code';

const STATUS: Readonly<Record<ErrorCode, status>> = {
  CONFIG_UNREADABLE: status.INTERNAL,
  CONFIG_INVALID: status.INVALID_ARGUMENT,
  NAME_INVALID: status.INVALID_ARGUMENT,
  ADDRESS_IN_USE: status.INTERNAL,
  ADDRESS_UNAVAILABLE: status.INTERNAL,
  FILE_UNREADABLE: status.INTERNAL,
  FILE_CORRUPT: status.DATA_LOSS,
  FILE_PERMISSIONS: status.INTERNAL,
  STATE_LOCKED: status.INTERNAL,
  CERTIFICATE_INVALID: status.INVALID_ARGUMENT,
  CSR_REFUSED: status.INVALID_ARGUMENT,
  TOKEN_UNKNOWN: status.UNAUTHENTICATED,
  TOKEN_USED: status.UNAUTHENTICATED,
  TOKEN_EXPIRED: status.UNAUTHENTICATED,
  TOKEN_REVOKED: status.UNAUTHENTICATED,
  MEMBERSHIP_ENDED: status.PERMISSION_DENIED,
  PEER_REFUSED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  REQUEST_INVALID: status.INVALID_ARGUMENT,
  LIMIT_EXCEEDED: status.RESOURCE_EXHAUSTED,
  LEASE_NOT_FOUND: status.NOT_FOUND,
  INSTANCE_CONFLICT: status.ALREADY_EXISTS,
  SERVICE_UNKNOWN: status.NOT_FOUND,
  REVISION_COMPACTED: status.OUT_OF_RANGE,
  REVISION_CONFLICT: status.ABORTED,
  STORE_UNAVAILABLE: status.UNAVAILABLE,
  PEER_UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  PROTOCOL_VIOLATION: status.INTERNAL,
};

/** What a handler threw, as gRPC sends it. Unexpected errors do not show their text to the peer. */
export function toStatus(error: unknown): { code: status; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  if (!isMeshError(error)) return { code: status.INTERNAL, details: 'internal error', metadata };
  metadata.set(CODE_KEY, error.code);
  return { code: STATUS[error.code], details: headerText(error.message), metadata };
}

/** What fits a header: gRPC encodes it with encodeURI, which throws on half a surrogate pair. */
function headerText(text: string): string {
  const shown = text.length > STATUS_CHARS_MAX ? `${text.slice(0, STATUS_CHARS_MAX)}…` : text;
  return Buffer.from(shown).toString();
}

/** grpc-js says what it did around the one thing that matters to a reader. */
function withoutWrapping(details: string): string {
  const wrapped = /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note:/s;
  return wrapped.exec(details)?.[1] ?? details;
}

/** What a call failed with, as the error the server threw or the nearest of our codes. */
export function fromStatus(error: ServiceError, target: string): MeshError {
  const sent = error.metadata.get(CODE_KEY)[0];
  const known = ERROR_CODES.find(code => code === sent);
  if (known !== undefined) return new MeshError(known, error.details, { cause: error });
  const message = `${target}: ${withoutWrapping(error.details || messageOf(error))}`;
  switch (error.code) {
    case status.DEADLINE_EXCEEDED:
      return new MeshError('DEADLINE_EXCEEDED', message, { cause: error });
    case status.RESOURCE_EXHAUSTED:
      return new MeshError('LIMIT_EXCEEDED', message, { cause: error });
    case status.UNAVAILABLE:
    case status.CANCELLED:
      return new MeshError('PEER_UNAVAILABLE', message, { cause: error });
    default:
      return new MeshError('PROTOCOL_VIOLATION', message, { cause: error });
  }
}

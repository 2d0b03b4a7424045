/**
 * The one error class of the mesh and its closed list of codes.
 *
 * A MeshError is for what an operator or a peer has to act on. Outcomes that are part of normal work
 * (an unknown SNI, a stale nonce) are return values, and programmer errors are assertions.
 * `docs/errors.md` has a paragraph for every code; a test compares the two lists.
 */

export const ERROR_CODES = [
  'CONFIG_UNREADABLE',
  'CONFIG_INVALID',
  'NAME_INVALID',
  'ADDRESS_IN_USE',
  'ADDRESS_UNAVAILABLE',
  'FILE_UNREADABLE',
  'FILE_CORRUPT',
  'FILE_PERMISSIONS',
  'STATE_LOCKED',
  'CERTIFICATE_INVALID',
  'CSR_REFUSED',
  'TOKEN_UNKNOWN',
  'TOKEN_USED',
  'TOKEN_EXPIRED',
  'TOKEN_REVOKED',
  'MEMBERSHIP_ENDED',
  'PEER_REFUSED',
  'PERMISSION_DENIED',
  'REQUEST_INVALID',
  'LIMIT_EXCEEDED',
  'LEASE_NOT_FOUND',
  'INSTANCE_CONFLICT',
  'SERVICE_UNKNOWN',
  'REVISION_COMPACTED',
  'REVISION_CONFLICT',
  'STORE_UNAVAILABLE',
  'PEER_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'PROTOCOL_VIOLATION',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface MeshErrorOptions {
  readonly cause?: unknown;
  /** Machine-readable context, logged beside the message. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** Message in lower case: what was found, in quotes, then what to do. */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: MeshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MeshError';
    this.code = code;
    this.details = options.details ?? {};
  }
}

export function isMeshError(error: unknown, code?: ErrorCode): error is MeshError {
  return error instanceof MeshError && (code === undefined || error.code === code);
}

/** The message of anything thrown, for a log field or a wrapped error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Who was refused a certificate, and why: a log line for each, and the newest ones for `/debug/audit`. */

import type { ErrorCode } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import { AUDIT_EVENTS_MAX } from '../limits.ts';

export interface RefusedIssuance {
  readonly method: 'redeem' | 'renew' | 'jwt-svid';
  /** A SPIFFE ID where the connection proved one, else the remote address. */
  readonly who: string;
  /** What the request asked for, as far as it could be read. */
  readonly asked: string;
  readonly code: ErrorCode | 'unexpected';
  readonly why: string;
}

export interface AuditEvent extends RefusedIssuance {
  readonly atMs: number;
}

export class IssuanceAudit {
  readonly #log: Logger;
  readonly #now: () => number;
  #events: readonly AuditEvent[] = [];

  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** Newest first. */
  get events(): readonly AuditEvent[] {
    return this.#events;
  }

  refused(refusal: RefusedIssuance): void {
    this.#log.warn({ audit: true, ...refusal }, 'certificate refused');
    this.#events = [{ atMs: this.#now(), ...refusal }, ...this.#events].slice(0, AUDIT_EVENTS_MAX);
  }
}

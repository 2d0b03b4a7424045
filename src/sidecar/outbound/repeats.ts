/**
 * Whether a request that reached an application and was not answered may be sent to another one. Pure, but for
 * the budget it draws on.
 *
 * Never a second execution of an unsafe method: only those that RFC 9110 §9.2.2 calls idempotent, and of
 * those only what is still here to be sent again, while the client has nothing of an answer, there is
 * somebody else to ask or another connection to make, there is time left, and the upstream's budget allows it.
 */

import type { RequestHead } from '../../wire/http1/request-head.ts';
import { ATTEMPTS_MAX, REPEAT_LEFT_MS_MIN } from '../limits.ts';
import type { Way } from './members.ts';
import type { Rotation } from './rotation.ts';

const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);

export type Repeat =
  | 'allowed'
  | 'not-idempotent'
  | 'nowhere-else'
  | 'no-time-left'
  | 'budget-exhausted';

interface Unanswered {
  /** Every way the request was tried, the last one included. */
  readonly tried: readonly Way[];
  /** With the connection: nothing is said against the endpoint, which may be asked again. */
  readonly isConnectionLost: boolean;
  readonly leftMs: number;
}

export function judgeRepeat(
  { method, upgrade }: Pick<RequestHead, 'method' | 'upgrade'>,
  rotation: Rotation,
  { tried, isConnectionLost, leftMs }: Unanswered,
  nowMs: number,
): Repeat {
  if (!IDEMPOTENT.has(method) || upgrade !== undefined) return 'not-idempotent';
  const hasSomewhere = isConnectionLost || rotation.hasOther(tried);
  if (tried.length >= ATTEMPTS_MAX || !hasSomewhere) return 'nowhere-else';
  if (leftMs < REPEAT_LEFT_MS_MIN) return 'no-time-left';
  return rotation.budget.take(nowMs) ? 'allowed' : 'budget-exhausted';
}

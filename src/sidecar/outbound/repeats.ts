/**
 * Whether a request that reached an application and was not answered may be sent to another one. Pure, but for
 * the budget it draws on.
 *
 * Never a second execution of an unsafe method: only those that RFC 9110 §9.2.2 calls idempotent, and of
 * those only what is still here to be sent again, while nothing has come back, there is somebody else
 * to ask, there is time left, and the upstream's budget allows it.
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

/** `tried`: every way the request was tried, the last one included. */
export function judgeRepeat(
  { method, upgrade }: Pick<RequestHead, 'method' | 'upgrade'>,
  rotation: Rotation,
  tried: readonly Way[],
  leftMs: number,
  nowMs: number,
): Repeat {
  if (!IDEMPOTENT.has(method) || upgrade !== undefined) return 'not-idempotent';
  if (tried.length >= ATTEMPTS_MAX || !rotation.hasOther(tried)) return 'nowhere-else';
  if (leftMs < REPEAT_LEFT_MS_MIN) return 'no-time-left';
  return rotation.budget.take(nowMs) ? 'allowed' : 'budget-exhausted';
}

/** How near the end of something trusted is, in the steps at which somebody is told. */

export type ExpiryStage = 'fine' | '30d' | '7d' | '1d' | 'expired';

const DAY_MS = 86_400_000;
/** Roots that end sooner than this make `isthmus trust check` fail. */
export const EXPIRES_SOON_MS = 30 * DAY_MS;

export function expiryStage(notAfterMs: number, nowMs: number): ExpiryStage {
  const leftMs = notAfterMs - nowMs;
  if (leftMs < 0) return 'expired';
  if (leftMs <= DAY_MS) return '1d';
  if (leftMs <= 7 * DAY_MS) return '7d';
  return leftMs <= EXPIRES_SOON_MS ? '30d' : 'fine';
}

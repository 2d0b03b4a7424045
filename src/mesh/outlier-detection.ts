/**
 * Taking an endpoint out of service after connects to it failed, and letting it back.
 *
 * Only failures before a request reached the application count: they say that this observer cannot
 * get there. The first one ejects, since a retry elsewhere costs nothing and waiting costs every
 * caller a timeout; each further one in a row doubles the time, and one success forgets them all.
 * An endpoint behind a gateway is judged alone: its failure says nothing of its neighbours.
 */

/** Envoy's base_ejection_time is 30 s, for errors of the application; a connect is cheap to try. */
export const EJECTION_FIRST_MS = 1_000;
export const EJECTION_MAX_MS = 10_000;
/** Callers that failed together come back spread over this share of the time. */
const EJECTION_JITTER = 0.2;

export interface EndpointHealth {
  readonly consecutiveFailures: number;
  /** In the past, or 0, when in service. */
  readonly ejectedUntilMs: number;
}

export type ConnectEvent = 'connected' | 'connect-failed';

export const HEALTHY: EndpointHealth = { consecutiveFailures: 0, ejectedUntilMs: 0 };

/** `jitter` is 0 to 1, drawn by the caller. */
export function nextHealth(
  health: EndpointHealth,
  event: ConnectEvent,
  nowMs: number,
  jitter: number,
): EndpointHealth {
  if (event === 'connected') return HEALTHY;
  // Calls already on their way when the first failure came back are the same failure.
  if (isEjected(health, nowMs)) return health;
  const doublings = Math.min(health.consecutiveFailures, 30);
  const fullMs = Math.min(EJECTION_MAX_MS, EJECTION_FIRST_MS * 2 ** doublings);
  return {
    consecutiveFailures: health.consecutiveFailures + 1,
    ejectedUntilMs: nowMs + Math.round(fullMs * (1 - EJECTION_JITTER * jitter)),
  };
}

export function isEjected(health: EndpointHealth, nowMs: number): boolean {
  return nowMs < health.ejectedUntilMs;
}

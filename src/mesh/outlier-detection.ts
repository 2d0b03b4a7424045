/**
 * When a caller takes an endpoint, or a way to it, out of service, and when it lets it back.
 *
 * Two judgements that have nothing to do with each other. *Reachability*: a connect, a handshake or a CONNECT
 * failed before a call reached the application. The first failure is enough, since a try elsewhere costs
 * nothing; only a trial that succeeds brings it back, not time alone. *Answers*: it is reached, and
 * several calls in a row were answered badly or broke off. That is Envoy's consecutive_5xx and
 * consecutive_local_origin_failure, and time brings it back.
 *
 * Flapping is damped: what goes out again soon after it was let back stays out for half a minute, and twice
 * as long each further time. Its first arrival is no return: what is called before it is up and then
 * restarts has failed once. What is let back gets its share little by little.
 */

/** From a failure to the first trial; each trial that fails doubles it. */
export const TRIAL_FIRST_MS = 1_000;
const TRIAL_MAX_MS = 10_000;
/** In service for less than this is no recovery but flapping. */
export const FLAP_MS = 30_000;
const FLAP_OUT_MAX_MS = 300_000;
/** Envoy's base_ejection_time and max_ejection_time. */
export const EJECTION_FIRST_MS = 30_000;
const EJECTION_MAX_MS = 300_000;
/** Callers that failed together come back spread over this share of the time. */
const JITTER = 0.2;
/** From being let back to the full share. */
export const SLOW_START_MS = 10_000;
/** Of its share, at once. */
const SLOW_START_FIRST = 0.1;

export type Reachability =
  | {
      readonly kind: 'in';
      /** Of its return; `-Infinity` for what has never been away. */
      readonly sinceMs: number;
      readonly flaps: number;
      readonly wasReached: boolean;
    }
  | {
      readonly kind: 'out';
      readonly sinceMs: number;
      readonly flaps: number;
      /** Ever: what never was has yet to arrive. */
      readonly wasReached: boolean;
      readonly failedTrials: number;
      /** A trial before this would say nothing new. */
      readonly trialMs: number;
    };

/** Taken for reachable until it is tried. */
export const UNTRIED: Reachability = {
  kind: 'in',
  sinceMs: Number.NEGATIVE_INFINITY,
  flaps: 0,
  wasReached: false,
};

const ARRIVED: Reachability = { ...UNTRIED, wasReached: true };

/** `jitter` is 0 to 1, drawn by the caller. */
export function nextReachability(
  state: Reachability,
  event: 'reached' | 'failed',
  nowMs: number,
  jitter: number,
): Reachability {
  const { wasReached } = state;
  if (state.kind === 'in') {
    if (event === 'reached') return wasReached ? state : ARRIVED;
    const flaps = nowMs - state.sinceMs < FLAP_MS ? state.flaps + 1 : 0;
    const waitMs = flaps === 0 ? TRIAL_FIRST_MS : doubled(FLAP_MS, flaps - 1, FLAP_OUT_MAX_MS);
    // A flapping one stays out for at least its time: there the jitter is added.
    const jittered = flaps === 0 ? lessJitter(waitMs, jitter) : waitMs * (1 + JITTER * jitter);
    const trialMs = nowMs + jittered;
    return { kind: 'out', sinceMs: nowMs, flaps, wasReached, failedTrials: 0, trialMs };
  }
  // Calls that were on their way when it went out have nothing new to say.
  if (nowMs < state.trialMs) return state;
  if (event === 'reached') {
    return wasReached ? { kind: 'in', sinceMs: nowMs, flaps: state.flaps, wasReached } : ARRIVED;
  }
  const failedTrials = state.failedTrials + 1;
  const waitMs = lessJitter(doubled(TRIAL_FIRST_MS, failedTrials, TRIAL_MAX_MS), jitter);
  return { ...state, failedTrials, trialMs: nowMs + waitMs };
}

export interface AnswerHealth {
  /** In a row, answered with 5xx. */
  readonly bad: number;
  /** In a row, not answered: reset, or given up waiting for. */
  readonly brokenOff: number;
  readonly ejections: number;
  /** In the past, or `-Infinity`, when in service. */
  readonly ejectedUntilMs: number;
}

export const GOOD: AnswerHealth = {
  bad: 0,
  brokenOff: 0,
  ejections: 0,
  ejectedUntilMs: Number.NEGATIVE_INFINITY,
};

export type AnswerEvent = 'good' | 'bad' | 'broken-off';

/** `mayEject`: whether the upstream can spare it. */
export function nextAnswers(
  state: AnswerHealth,
  event: AnswerEvent,
  rules: { readonly ejectAfterFailures: number; readonly mayEject: boolean },
  nowMs: number,
  jitter: number,
): AnswerHealth {
  if (event === 'good') {
    return state.bad === 0 && state.brokenOff === 0 ? state : { ...state, bad: 0, brokenOff: 0 };
  }
  // Calls that were on their way when it was ejected have nothing new to say.
  if (nowMs < state.ejectedUntilMs) return state;
  // A bad answer is one all the same.
  const bad = event === 'bad' ? state.bad + 1 : state.bad;
  const brokenOff = event === 'bad' ? 0 : state.brokenOff + 1;
  if (Math.max(bad, brokenOff) < rules.ejectAfterFailures || !rules.mayEject) {
    return { ...state, bad, brokenOff };
  }
  const isAgain = nowMs - state.ejectedUntilMs < EJECTION_MAX_MS;
  const ejections = isAgain ? state.ejections + 1 : 1;
  const forMs = Math.min(EJECTION_MAX_MS, EJECTION_FIRST_MS * ejections) * (1 + JITTER * jitter);
  return { bad: 0, brokenOff: 0, ejections, ejectedUntilMs: nowMs + forMs };
}

/** Whether one more of an upstream's endpoints may be ejected for its answers. One always may. */
export function mayEject(ejected: number, endpoints: number, ejectedPercentMax: number): boolean {
  return ejected === 0 || (ejected + 1) * 100 <= endpoints * ejectedPercentMax;
}

/** What is given of its share to something let back into service at `sinceMs`. */
export function slowStart(sinceMs: number, nowMs: number): number {
  const ramp = Math.max(0, nowMs - sinceMs) / SLOW_START_MS;
  return Math.min(1, SLOW_START_FIRST + (1 - SLOW_START_FIRST) * ramp);
}

function doubled(firstMs: number, times: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(times, 30));
}

function lessJitter(ms: number, jitter: number): number {
  return ms * (1 - JITTER * jitter);
}

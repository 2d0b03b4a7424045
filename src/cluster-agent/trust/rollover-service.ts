/** The rollover as its operator sees it: requests in, where things stand out. */

import { stepAfter } from '../../mesh/rollover.ts';
import type {
  RolloverProgress,
  RolloverStatus,
} from '../../wire/generated/isthmus/operator/v1/rollover.ts';
import type { RolloverReport, RolloverRunner } from './rollover.ts';

/** The part of the operator's service that is about rollovers. */
export function rolloverHandlers(runner: RolloverRunner) {
  const status = (): RolloverStatus => formatReport(runner.report());
  return {
    startRollover: async ({ auto }: { readonly auto: boolean }) => {
      await runner.start(auto);
      return status();
    },
    getRollover: () => Promise.resolve(status()),
    advanceRollover: async ({ forceReason }: { readonly forceReason: string }) => {
      await runner.advance(forceReason === '' ? undefined : forceReason);
      return status();
    },
    abortRollover: async ({ reason }: { readonly reason: string }) => {
      await runner.abort(reason);
      return status();
    },
    rotateIntermediate: async () => ({ proxies: await runner.rotateIntermediate() }),
  };
}

export function formatReport({ slots, rollover }: RolloverReport): RolloverStatus {
  return {
    roots: slots.map(({ id, state, sinceMs, certificate }) => ({
      sha256: id,
      state,
      sinceMs: milliseconds(sinceMs),
      notAfterMs: milliseconds(certificate.notAfterMs),
    })),
    rollover: rollover === undefined ? undefined : formatProgress(rollover),
  };
}

function formatProgress({
  state,
  gate,
}: NonNullable<RolloverReport['rollover']>): RolloverProgress {
  return {
    from: state.from,
    to: state.to,
    step: state.step,
    sinceMs: milliseconds(state.sinceMs),
    auto: state.auto,
    history: state.history.map(({ step, atMs, forced }) => ({
      step,
      atMs: milliseconds(atMs),
      reason: forced?.reason ?? '',
      unproven: forced?.unproven ?? '',
    })),
    nextStep: stepAfter(state.step) ?? '',
    condition: gate.condition,
    progress: [...gate.progress],
    lacking: gate.lacking.map(({ sinceMs, ...laggard }) => ({
      ...laggard,
      sinceMs: milliseconds(sinceMs),
    })),
  };
}

function milliseconds(value: number): bigint {
  return BigInt(Math.round(value));
}

/**
 * Structured logs: one JSON object a line on stderr, a constant message plus fields.
 *
 * pino escapes control characters, so no value a peer sends can start a new line or a colour code.
 * Level by ISTHMUS_LOG (trace … error; default info).
 */

import { type Logger, pino } from 'pino';

export type { Logger };

export function createLogger(component: string, bindings: Record<string, string> = {}): Logger {
  return pino(
    {
      level: process.env['ISTHMUS_LOG'] ?? 'info',
      base: { component, ...bindings },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: describeError },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** An error as fields: no stack for expected errors, the chain of causes for all. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    ...('code' in error ? { code: error.code } : {}),
    message: error.message,
    ...('details' in error ? { details: error.details } : {}),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    ...('code' in error ? {} : { stack: error.stack }),
  };
}

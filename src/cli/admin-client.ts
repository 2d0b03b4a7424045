/** Asks a process's admin server. A process that does not answer is a finding, not an error. */

import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { messageOf } from '../mesh/errors.ts';

export type AdminAnswer<T> =
  | { readonly kind: 'answered'; readonly status: number; readonly body: T }
  | { readonly kind: 'unreachable'; readonly reason: string };

const ADMIN_TIMEOUT_MS = 2_000;
/** How the reason begins when somebody listens there, or the way there is closed, and nothing comes back. */
export const NO_ANSWER = 'does not answer';

/** The body is what the process says of itself; its shape is the caller's claim. */
export async function askAdmin<T>(admin: SocketAddress, path: string): Promise<AdminAnswer<T>> {
  try {
    const response = await fetch(`http://${formatAddress(admin)}${path}`, {
      signal: AbortSignal.timeout(ADMIN_TIMEOUT_MS),
    });
    return { kind: 'answered', status: response.status, body: (await response.json()) as T };
  } catch (error) {
    return { kind: 'unreachable', reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return `${NO_ANSWER} within ${ADMIN_TIMEOUT_MS / 1000} s`;
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return messageOf(cause) || 'connection refused';
}

/** The body, or undefined when the process did not answer with 200. */
export async function askAdminBody<T>(admin: SocketAddress, path: string): Promise<T | undefined> {
  const answer = await askAdmin<T>(admin, path);
  return answer.kind === 'answered' && answer.status === 200 ? answer.body : undefined;
}

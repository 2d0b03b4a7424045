/** What the application is told of a call that did not end with an answer, and of the way of one that did. */

import { formatAddress } from '../../mesh/address.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { type Answer, forbidden } from '../http/answer.ts';
import type { CallFailure, FailedAttempt, ReachedApplication } from './caller.ts';
import type { Way } from './members.ts';

/** Where a request was before. */
export interface Lost {
  readonly way: Way;
  readonly failure: FailedAttempt;
  /** No application has a byte of it. */
  readonly isUntouched: boolean;
}

export function noRoute({ host }: RequestHead): Answer {
  return {
    code: 'no-route',
    error: `no service of the mesh is called "${host}"; is it exported, and is the port right?`,
  };
}

/** There is nobody (else) to try. */
export function notReached(
  outcome: Exclude<CallFailure, { kind: 'aborted' }>,
  authority: string,
  lost: readonly Lost[],
): Answer {
  if (outcome.kind === 'no-endpoint') {
    return { code: 'no-endpoint', error: `"${authority}" has no endpoint in any cluster` };
  }
  const attempts = [...lost.map(({ failure }) => failure), ...outcome.attempts];
  const none = `no ${lost.length > 0 ? 'other ' : ''}endpoint of "${authority}" could be reached`;
  const isUntouched = lost.every(each => each.isUntouched);
  if (outcome.kind === 'forbidden' && isUntouched) {
    return { ...forbidden(authority), details: { attempts } };
  }
  return {
    code: isUntouched ? 'upstream-unreachable' : 'upstream-failed',
    error: isUntouched
      ? `${none}; nothing of the request was sent`
      : `${none}; one had the request and did not answer`,
    details: { attempts },
  };
}

/** `isWaiting`: an application has the request. */
export function tooLate(
  authority: string,
  timeoutMs: number,
  lost: readonly Lost[],
  isWaiting: boolean,
): Answer {
  const isUntouched = !isWaiting && lost.every(each => each.isUntouched);
  const outcome = isUntouched ? 'nothing of the request was sent' : 'it may have been carried out';
  return {
    code: 'deadline-exceeded',
    error: `no answer of "${authority}" within ${timeoutMs} ms; ${outcome}`,
    details: { timeoutMs, attempts: lost.map(({ failure }) => failure) },
  };
}

/** `name=value; …`, values as RFC 9110 tokens or quoted strings. */
export function explain({ way, stream, attempts }: ReachedApplication): string {
  const { endpoint, address } = way.target;
  const { peer } = stream.session;
  return [
    `workload=${endpoint.workload}`,
    `cluster=${endpoint.cluster}`,
    `path=${endpoint.path}`,
    `address=${formatAddress(address)}`,
    `peer=${quoted(peer.id)}`,
    `issuer=${quoted(peer.issuer.subject)}`,
    `issuer-sha256=${peer.issuer.sha256}`,
    `attempts=${attempts}`,
  ].join('; ');
}

function quoted(text: string): string {
  return `"${text.replace(/[^ !#-[\]-~]/g, '?')}"`;
}

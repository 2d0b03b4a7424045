/**
 * How etcd3 is made to call: what is tried again (only what never left), with which demands on the member
 * that answers, and how its streams are read and ended. See etcd-store.ts.
 */

import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import type { IOptions } from 'etcd3';
import { messageOf } from '../../mesh/errors.ts';

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;
type Attempt = (context: { readonly signal: AbortSignal }) => unknown;

/** etcd3 uses `execute` of a policy and nothing else. */
function policy(execute: (attempt: Attempt) => Promise<unknown>): Policy {
  return { execute } as unknown as Policy;
}

const NEVER = new AbortController().signal;

/** For what a single host does. */
export const once = policy(async attempt => attempt({ signal: NEVER }));

/** The pool offers another host at each attempt. A call that may have arrived is never repeated. */
export function nextHostUnlessSent(hosts: number): Policy {
  return policy(async attempt => {
    for (let tried = 1; ; tried++) {
      try {
        return await attempt({ signal: NEVER });
      } catch (error) {
        if (tried >= hosts || !/No connection established/.test(messageOf(error))) throw error;
      }
    }
  });
}

/** A member that has lost its leader ends the watch, instead of being silent for as long as that lasts. */
export const requireLeader: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start: (metadata, listener, next) => {
      metadata.set('hasleader', 'true');
      next(metadata, listener);
    },
  });

/** etcd3's streams are grpc-js streams; its typings leave out that they can be iterated. */
export function messagesOf<T>(stream: object): AsyncIterable<T> {
  return stream as AsyncIterable<T>;
}

/** Ended before cancelled, or etcd3 takes our own hang-up for a fault and drops the host's connections. */
export function hangUp(stream: { end(): void; cancel(): void }): void {
  stream.end();
  stream.cancel();
}

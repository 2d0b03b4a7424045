/**
 * The port that the application sends its HTTP requests to: by Host or absolute-form URL to an upstream,
 * through a tunnel to one endpoint's sidecar, and the answer back.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';
import { settlesWithin } from '../../runtime/drain.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import { aborted } from '../../runtime/supervise.ts';
import { type Answer, sendAnswer, statusOf } from '../http/answer.ts';
import { exchange } from '../http/exchange.ts';
import { checkRequestHead, type RequestHead } from '../http/request-head.ts';
import { createHttpServer } from '../http/server.ts';
import type { Caller, CallFailure, ReachedApplication } from './caller.ts';

/** One request as metrics and the access log see it. */
export interface OutboundCall {
  readonly method: string;
  readonly authority: string;
  readonly upstream: Upstream | undefined;
  readonly reached: ReachedApplication | undefined;
  readonly status: number;
  readonly durationMs: number;
}

export interface OutboundHttpOptions {
  readonly hosts: Pick<Collection<string, UpstreamName>, 'get'>;
  readonly upstreams: Pick<Collection<UpstreamName, Upstream>, 'get'>;
  readonly caller: Caller;
  readonly now: () => number;
  readonly drainMs: number;
  readonly onRefused: (code: Answer['code']) => void;
  readonly onCall: (call: OutboundCall) => void;
}

export class OutboundHttpListener {
  readonly #options: OutboundHttpOptions;
  readonly #server: Server;

  constructor(options: OutboundHttpOptions) {
    this.#options = options;
    this.#server = createHttpServer(
      (request, response, early) => void this.#serve(request, response, early),
      options.onRefused,
    );
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = closeServer(this.#server);
    this.#server.closeIdleConnections();
    await settlesWithin(closed, this.#options.drainMs);
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse, early: Buffer): Promise<void> {
    const startedMs = this.#options.now();
    const checked = checkRequestHead({
      method: request.method ?? '',
      target: request.url ?? '',
      httpVersion: request.httpVersion,
      rawHeaders: request.rawHeaders,
    });
    if (checked.kind === 'refused') {
      this.#refuse(response, { code: checked.code, error: checked.why });
      return;
    }
    const { head } = checked;
    const upstream = this.#find(head.authority);
    const finished = (status: number, reached?: ReachedApplication): void =>
      this.#options.onCall({
        method: head.method,
        authority: head.authority,
        upstream,
        reached,
        status,
        durationMs: this.#options.now() - startedMs,
      });
    if (upstream === undefined) {
      finished(this.#refuse(response, noRoute(head)));
      return;
    }
    const left = new AbortController();
    response.once('close', () => left.abort());
    const outcome = await this.#options.caller.reach(upstream, left.signal);
    if (outcome.kind === 'aborted') return;
    if (outcome.kind !== 'reached') {
      finished(this.#refuse(response, describeFailure(outcome, upstream)));
      return;
    }
    const status = await exchange({
      request,
      response,
      early,
      head,
      stream: outcome.stream,
      requestFields: [],
      responseFields: fields =>
        head.explain ? [...fields, ['x-isthmus-upstream', explain(outcome)]] : fields,
    });
    finished(status, outcome);
  }

  /** The agent's table has `host:port`, and the bare host for port 80. */
  #find(authority: string): Upstream | undefined {
    const name = this.#options.hosts.get(authority);
    return name === undefined ? undefined : this.#options.upstreams.get(name);
  }

  #refuse(response: ServerResponse, answer: Answer): number {
    this.#options.onRefused(answer.code);
    sendAnswer(response, answer);
    return statusOf(answer.code);
  }
}

function noRoute({ authority }: RequestHead): Answer {
  return {
    code: 'no-route',
    error: `no service of the mesh is called "${authority}"; is it exported, and is the port right?`,
  };
}

function describeFailure(
  failure: Exclude<CallFailure, { kind: 'aborted' }>,
  upstream: Upstream,
): Answer {
  const service = `${upstream.host}:${upstream.port}`;
  switch (failure.kind) {
    case 'no-endpoint':
      return { code: 'no-endpoint', error: `"${service}" has no endpoint in any cluster` };
    case 'unreachable':
      return {
        code: 'upstream-unreachable',
        error: `no endpoint of "${service}" could be reached; nothing of the request was sent`,
        details: { attempts: failure.attempts },
      };
  }
}

/** `name=value; …`, values as RFC 9110 tokens or quoted strings. */
function explain({ target, peer, attempts }: ReachedApplication): string {
  const { endpoint, address } = target;
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

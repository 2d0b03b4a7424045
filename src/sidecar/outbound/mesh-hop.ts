/** Where a request of the own application goes: by its host to an upstream, and to one of its endpoints. */

import { formatAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';
import { fieldsOf } from '../../wire/http1/fields.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { HeadEdits } from '../../wire/http1/write-head.ts';
import type { Channel } from '../bytes/channel.ts';
import { endQuietly } from '../bytes/end-quietly.ts';
import type { Answer, AnswerCode } from '../http/answer.ts';
import type { Conversation, NextHop } from '../http/conversation.ts';
import type { NextHopState } from '../http/exchange.ts';
import { MESH_FIELDS } from '../http/mesh-fields.ts';
import type { Caller, CallOutcome, FailedAttempt, ReachedApplication } from './caller.ts';

/** One request as metrics and the access log see it. */
export interface OutboundCall {
  readonly head: RequestHead;
  readonly upstream: Upstream | undefined;
  readonly reached: ReachedApplication | undefined;
  readonly status: number;
  readonly durationMs: number;
}

export interface MeshHopOptions {
  readonly hosts: Pick<Collection<string, UpstreamName>, 'get'>;
  readonly upstreams: Pick<Collection<UpstreamName, Upstream>, 'get'>;
  readonly caller: Caller;
  readonly onRefused: (code: AnswerCode) => void;
  readonly onCall: (call: OutboundCall) => void;
}

const REQUEST_EDITS: HeadEdits = { drop: MESH_FIELDS };
const RESPONSE_EDITS: HeadEdits = {};

export class MeshHop implements NextHop {
  readonly #options: MeshHopOptions;
  readonly #conversation: Conversation;
  #upstream: Upstream | undefined;
  #reached: ReachedApplication | undefined;
  /** Of the request at hand: endpoints that gave it back, while another is looked for. */
  #givenBack: readonly { readonly to: ReachedApplication; readonly failure: FailedAttempt }[] = [];
  #looking: AbortController | undefined;
  #isExplained = false;

  constructor(options: MeshHopOptions, conversation: Conversation) {
    this.#options = options;
    this.#conversation = conversation;
  }

  route(head: RequestHead): void {
    const { hosts, upstreams, caller } = this.#options;
    // The agent's table has `host:port`, and the bare host for port 80.
    const name = hosts.get(head.host);
    const upstream = name === undefined ? undefined : upstreams.get(name);
    this.#upstream = upstream;
    this.#reached = undefined;
    if (this.#givenBack.length > 0) this.#givenBack = [];
    if (upstream === undefined) {
      this.#conversation.refuse(noRoute(head));
      return;
    }
    this.#isExplained = head.fields.first('x-isthmus-explain') === '1';
    const reached = caller.reachAtOnce(upstream);
    if (reached !== undefined) this.#forward(reached);
    else void this.#look(upstream);
  }

  reroute(): boolean {
    const { caller } = this.#options;
    const to = this.#reached;
    if (to === undefined || this.#upstream === undefined) return false;
    this.#givenBack = [...this.#givenBack, { to, failure: caller.gaveBack(to.target) }];
    this.#reached = undefined;
    void this.#look(this.#upstream);
    return true;
  }

  release(channel: Channel, state: NextHopState): void {
    const stream = this.#reached?.stream;
    if (state === 'broken') channel.abort();
    else if (state === 'finished' || stream === undefined) endQuietly(channel);
    else stream.session.giveBack(stream);
  }

  onOver(): void {
    this.#looking?.abort();
  }

  onFinished(head: RequestHead, status: number, durationMs: number): void {
    const { upstream, reached } = { upstream: this.#upstream, reached: this.#reached };
    this.#options.onCall({ head, upstream, reached, status, durationMs });
  }

  onRefused(code: AnswerCode): void {
    this.#options.onRefused(code);
  }

  responseEdits(): HeadEdits {
    return this.#isExplained && this.#reached !== undefined
      ? { add: [fieldsOf(['x-isthmus-upstream', explain(this.#reached)])] }
      : RESPONSE_EDITS;
  }

  #forward(reached: ReachedApplication): void {
    const { stream } = reached;
    this.#reached = reached;
    const taken = this.#conversation.forward(stream.channel, REQUEST_EDITS);
    if (!taken) stream.session.giveBack(stream);
  }

  async #look(upstream: Upstream): Promise<void> {
    const looking = new AbortController();
    this.#looking = looking;
    const tried = this.#givenBack.map(({ to }) => to.target);
    const outcome = await this.#options.caller.reach(upstream, looking.signal, tried);
    this.#looking = undefined;
    if (outcome.kind === 'reached') this.#forward(outcome);
    else if (outcome.kind !== 'aborted')
      this.#conversation.refuse(this.#describe(outcome, upstream));
  }

  #describe(
    outcome: Extract<CallOutcome, { kind: 'no-endpoint' | 'unreachable' }>,
    upstream: Upstream,
  ): Answer {
    const service = `${upstream.host}:${upstream.port}`;
    if (outcome.kind === 'no-endpoint') {
      return { code: 'no-endpoint', error: `"${service}" has no endpoint in any cluster` };
    }
    const attempts = [...this.#givenBack.map(({ failure }) => failure), ...outcome.attempts];
    return {
      code: 'upstream-unreachable',
      error: `no endpoint of "${service}" could be reached; nothing of the request was sent`,
      details: { attempts },
    };
  }
}

function noRoute({ host }: RequestHead): Answer {
  return {
    code: 'no-route',
    error: `no service of the mesh is called "${host}"; is it exported, and is the port right?`,
  };
}

/** `name=value; …`, values as RFC 9110 tokens or quoted strings. */
function explain({ target, stream, attempts }: ReachedApplication): string {
  const { endpoint, address } = target;
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

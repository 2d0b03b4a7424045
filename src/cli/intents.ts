/** Intents through the registry's operator socket: put, delete, list, and what to check before. */

import { MeshError } from '../mesh/errors.ts';
import type { Intent, IntentBody } from '../mesh/intent.ts';
import type { ClusterName } from '../mesh/names.ts';
import type { RpcChannel } from '../runtime/rpc-client.ts';
import { RegistryOperatorDefinition } from '../wire/generated/isthmus/operator/v1/registry.ts';
import { formatIntent, parseIntent } from '../wire/registry-intents.ts';
import { askAdminBody } from './admin-client.ts';
import { formatService, type ServiceArgument } from './arguments.ts';
import type { Fleet } from './fleet.ts';
import { askRegistry, operatorName } from './operator.ts';
import { formatClock, formatDuration, table } from './text.ts';

const { methods } = RegistryOperatorDefinition;

export class IntentClient {
  readonly #fleet: Fleet;
  readonly #channel: RpcChannel;

  private constructor(fleet: Fleet, channel: RpcChannel) {
    this.#fleet = fleet;
    this.#channel = channel;
  }

  /** Throws PEER_UNAVAILABLE when the registry does not run here. */
  static use<T>(fleet: Fleet, work: (client: IntentClient) => Promise<T>): Promise<T> {
    return askRegistry(fleet, channel => work(new IntentClient(fleet, channel)));
  }

  /** `by` is this user; the time is now. */
  async put(body: IntentBody, reason: string): Promise<void> {
    const intent = formatIntent({ ...body, reason, atMs: Date.now(), by: operatorName() });
    await this.#channel.unary(methods.putIntent, { intent: Buffer.from(intent) });
  }

  /** Whether there was one. */
  async delete(key: string): Promise<boolean> {
    const request = { key, by: operatorName() };
    return (await this.#channel.unary(methods.deleteIntent, request)).existed;
  }

  async list(): Promise<Intent[]> {
    const { intents } = await this.#channel.unary(methods.listIntents, {});
    return intents.map(({ intent }) => parseIntent(intent));
  }

  /** An intent about a name that nobody bears would be obeyed by nobody. Throws REQUEST_INVALID. */
  async requireCluster(cluster: ClusterName): Promise<void> {
    const known = new Set((await this.#records()).map(each => each.cluster));
    if (known.has(cluster)) return;
    throw new MeshError(
      'REQUEST_INVALID',
      `the registry knows no cluster "${cluster}"; it knows ${[...known].sort().join(', ') || 'none'}`,
    );
  }

  /** Throws REQUEST_INVALID, naming who does export the service. */
  async requireExport(service: ServiceArgument, cluster: ClusterName): Promise<void> {
    const name = formatService(service);
    const prefix = `exports/${name}/`;
    const exporters = new Set(
      (await this.#records())
        .filter(({ record }) => record.startsWith(prefix))
        .map(each => each.cluster),
    );
    if (exporters.has(cluster)) return;
    throw new MeshError(
      'REQUEST_INVALID',
      `cluster "${cluster}" does not export "${name}"; exported by: ${[...exporters].sort().join(', ') || 'nobody'}`,
    );
  }

  async #records(): Promise<readonly { readonly cluster: string; readonly record: string }[]> {
    const { admin } = this.#fleet.registry;
    return (await askAdminBody(admin, '/debug/records')) ?? [];
  }
}

export function formatIntents(intents: readonly Intent[], nowMs: number): string {
  const rows = intents.map(intent => [
    ...describe(intent, nowMs),
    `${formatDuration(nowMs - intent.atMs)} ago`,
    intent.by,
    intent.reason,
  ]);
  return table(['INTENT', 'SUBJECT', 'STATE', 'SINCE', 'BY', 'REASON'], rows);
}

/** Whether it moves traffic now. */
export function isSteering(intent: Intent, nowMs: number): boolean {
  const isKind = intent.kind === 'drain' || intent.kind === 'failover';
  return isKind && nowMs < (intent.untilMs ?? Number.POSITIVE_INFINITY);
}

function describe(intent: Intent, nowMs: number): [kind: string, subject: string, state: string] {
  switch (intent.kind) {
    case 'drain': {
      const doneMs = intent.startMs + intent.overMs;
      const isOver = intent.untilMs !== undefined && nowMs >= intent.untilMs;
      const state = nowMs < doneMs ? `done at ${formatClock(doneMs)}` : isOver ? 'over' : 'drained';
      return [intent.kind, intent.cluster, state];
    }
    case 'failover': {
      const state =
        nowMs < intent.untilMs ? `to ${intent.to} until ${formatClock(intent.untilMs)}` : 'over';
      return [intent.kind, formatService(intent), state];
    }
    case 'service-ownership':
      return [intent.kind, formatService(intent), `of ${intent.clusters.join(', ')}`];
    case 'cluster-revocation':
      return [intent.kind, intent.cluster, 'revoked'];
    case 'departure':
      return [intent.kind, intent.cluster, 'left'];
  }
}

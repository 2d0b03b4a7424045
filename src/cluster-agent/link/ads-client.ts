/**
 * The proxy's side of delta xDS: one stream to the agent, kept open, resumed with the versions in hand.
 *
 * Every response is answered: ACK, or NACK with what is wrong and in which field. A broken stream costs
 * nothing but news; the next one starts after a jittered wait and brings only what differs.
 */

import type { SocketAddress } from '../../mesh/address.ts';
import { isMeshError } from '../../mesh/errors.ts';
import { agentId } from '../../mesh/system-identities.ts';
import type { Logger } from '../../runtime/log.ts';
import { RpcChannel } from '../../runtime/rpc-client.ts';
import { Backoff, sleep } from '../../runtime/supervise.ts';
import type { SvidSource } from '../../trust-federation/identity/svid.ts';
import { exactly } from '../../trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../trust-federation/peers/tls.ts';
import type { Node } from '../../wire/generated/envoy/config/core/v3/base.ts';
import { AggregatedDiscoveryServiceDefinition } from '../../wire/generated/envoy/service/discovery/v3/ads.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../wire/generated/envoy/service/discovery/v3/discovery.ts';
import { RESOURCE_TYPE_URLS, type ResourceType, resourceTypeOf } from '../../wire/xds/resource.ts';
import { RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from '../limits.ts';
import type { Received } from './received.ts';

export interface AdsClientOptions {
  readonly node: Node;
  readonly control: SocketAddress;
  readonly types: readonly ResourceType[];
  /** What is asked for by name; of the other types, everything. */
  readonly names: Readonly<Partial<Record<ResourceType, readonly string[]>>>;
  readonly identity: SvidSource;
  readonly received: Received;
  /** A response is in force. */
  readonly applied: (type: ResourceType) => void;
  readonly connection: (connected: boolean) => void;
  readonly log: Logger;
  readonly now: () => number;
}

const GRPC_INVALID_ARGUMENT = 3;
const NACK_MESSAGE_CHARS_MAX = 4_000;

export class AdsClient {
  readonly name = 'ads';
  readonly #options: AdsClientOptions;

  constructor(options: AdsClientOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { connection, log } = this.#options;
    const backoff = new Backoff(RECONNECT_FIRST_MS, RECONNECT_MAX_MS);
    while (!signal.aborted) {
      try {
        await this.#follow(signal, () => backoff.reset());
      } catch (error) {
        if (!isMeshError(error)) throw error;
        log.warn({ error }, 'agent unreachable, keeping what is known');
      }
      connection(false);
      await sleep(backoff.next(), signal);
    }
  }

  async #follow(signal: AbortSignal, progress: () => void): Promise<void> {
    const { control, types, connection } = this.#options;
    const channel = this.#dial(control);
    try {
      const { deltaAggregatedResources } = AggregatedDiscoveryServiceDefinition.methods;
      const { send, messages } = channel.duplex(deltaAggregatedResources, signal);
      for (const type of types) send(this.#subscription(type));
      for await (const response of messages) {
        connection(true);
        progress();
        const answer = this.#receive(response);
        if (answer !== undefined) send(answer);
      }
    } finally {
      channel.close();
    }
  }

  /** With the certificate and the roots of this moment. */
  #dial(control: SocketAddress): RpcChannel {
    const { identity, received, now } = this.#options;
    const svid = identity.current();
    const roots = received.bundles.get(svid.trustDomain);
    if (roots === undefined) throw new Error('no roots of our own trust domain');
    const tls = meshRpcTls(svid, roots, exactly(agentId(svid.trustDomain)), now);
    return new RpcChannel(AggregatedDiscoveryServiceDefinition, { address: control, tls });
  }

  #subscription(type: ResourceType): DeltaDiscoveryRequest {
    const { node, names, received } = this.#options;
    return {
      ...EMPTY_REQUEST,
      node,
      typeUrl: RESOURCE_TYPE_URLS[type],
      resourceNamesSubscribe: [...(names[type] ?? ['*'])],
      initialResourceVersions: received.versions(type),
    };
  }

  #receive(response: DeltaDiscoveryResponse): DeltaDiscoveryRequest | undefined {
    const { received, applied, log } = this.#options;
    const type = resourceTypeOf(response.typeUrl);
    if (type === undefined) {
      log.warn({ typeUrl: response.typeUrl }, 'agent sent a type that was not asked for');
      return undefined;
    }
    const problems = received.apply(type, response);
    applied(type);
    const { typeUrl, nonce: responseNonce } = response;
    if (problems.length === 0) return { ...EMPTY_REQUEST, typeUrl, responseNonce };
    const message = problems.join('; ').slice(0, NACK_MESSAGE_CHARS_MAX);
    log.error({ type, problem: message }, 'configuration refused, keeping what was in force');
    return {
      ...EMPTY_REQUEST,
      typeUrl,
      responseNonce,
      errorDetail: { code: GRPC_INVALID_ARGUMENT, message },
    };
  }
}

const EMPTY_REQUEST: DeltaDiscoveryRequest = {
  node: undefined,
  typeUrl: '',
  resourceNamesSubscribe: [],
  resourceNamesUnsubscribe: [],
  initialResourceVersions: {},
  responseNonce: '',
  errorDetail: undefined,
};

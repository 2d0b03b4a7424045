/**
 * Typed gRPC calls over one connection: TLS to an address, or a Unix socket of this machine.
 *
 * A channel lives as long as one connection attempt of its owner: reconnecting opens a new one, with
 * whatever certificate is current by then, so rotation needs no reload path here. Who the peer must be
 * is the caller's business, passed in as `checkServerIdentity`.
 */

import type { ConnectionOptions, SecureContext } from 'node:tls';
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError } from '../mesh/errors.ts';
import { fromStatus, RPC_KEEPALIVE, type RpcMethod } from './rpc.ts';

export interface RpcTls {
  readonly secureContext: SecureContext;
  readonly checkServerIdentity: NonNullable<ConnectionOptions['checkServerIdentity']>;
}

export type RpcTarget =
  | { readonly address: SocketAddress; readonly tls: RpcTls }
  /** An operator's way in: the file's permissions are the authentication. */
  | { readonly socketPath: string };

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Unary only; streams live until aborted. */
  readonly deadlineMs?: number;
}

/** Control-plane servers are verified by SPIFFE ID; the server name only avoids an IP literal there. */
const CONTROL_SERVER_NAME = 'control.isthmus.internal';

export class RpcChannel {
  readonly #client: Client;
  readonly #serviceName: string;
  readonly #target: string;

  constructor(definition: { readonly fullName: string }, target: RpcTarget) {
    this.#serviceName = definition.fullName;
    this.#target =
      'address' in target ? formatAddress(target.address) : `unix:${target.socketPath}`;
    this.#client = new Client(this.#target, credentialsFor(target), {
      ...RPC_KEEPALIVE,
      ...('address' in target ? { 'grpc.ssl_target_name_override': CONTROL_SERVER_NAME } : {}),
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    });
  }

  unary<Req, Res>(
    method: RpcMethod<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest<Req, Res>(
        this.#path(method),
        message => Buffer.from(method.requestType.encode(message).finish()),
        bytes => method.responseType.decode(bytes),
        request,
        new Metadata(),
        { deadline: Date.now() + (options.deadlineMs ?? 5_000) },
        (error, response) => {
          options.signal?.removeEventListener('abort', cancel);
          if (error !== null) reject(fromStatus(error, this.#target));
          else if (response === undefined)
            reject(new MeshError('PROTOCOL_VIOLATION', `${this.#target}: empty response`));
          else resolve(response);
        },
      );
      const cancel = (): void => call.cancel();
      options.signal?.addEventListener('abort', cancel, { once: true });
      if (options.signal?.aborted === true) cancel();
    });
  }

  serverStream<Req, Res>(
    method: RpcMethod<Req, Res>,
    request: Req,
    signal: AbortSignal,
  ): AsyncIterable<Res> {
    const call = this.#client.makeServerStreamRequest<Req, Res>(
      this.#path(method),
      message => Buffer.from(method.requestType.encode(message).finish()),
      bytes => method.responseType.decode(bytes),
      request,
      new Metadata(),
      {},
    );
    return this.#messages(call, signal);
  }

  duplex<Req, Res>(
    method: RpcMethod<Req, Res>,
    signal: AbortSignal,
  ): { readonly send: (message: Req) => void; readonly messages: AsyncIterable<Res> } {
    const call = this.#client.makeBidiStreamRequest<Req, Res>(
      this.#path(method),
      message => Buffer.from(method.requestType.encode(message).finish()),
      bytes => method.responseType.decode(bytes),
      new Metadata(),
      {},
    );
    return { send: message => void call.write(message), messages: this.#messages(call, signal) };
  }

  close(): void {
    this.#client.close();
  }

  #path(method: { readonly name: string }): string {
    return `/${this.#serviceName}/${method.name}`;
  }

  /** Ends quietly on abort; throws the server's MeshError or PEER_UNAVAILABLE otherwise. */
  #messages<Res>(
    call: ClientReadableStream<Res> | ClientDuplexStream<never, Res>,
    signal: AbortSignal,
  ): AsyncGenerator<Res, void> {
    // Listening begins with the call, not with the first read: an error event that finds no listener
    // ends the process, and one that came before the reader would be lost to it.
    const failure = new Promise<ServiceError | undefined>(resolve => {
      call.on('error', resolve);
      call.once('status', () => resolve(undefined));
    });
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    void failure.then(() => signal.removeEventListener('abort', cancel));
    return this.#read(call, signal, failure);
  }

  async *#read<Res>(
    call: ClientReadableStream<Res> | ClientDuplexStream<never, Res>,
    signal: AbortSignal,
    failure: Promise<ServiceError | undefined>,
  ): AsyncGenerator<Res, void> {
    try {
      for await (const message of call) yield message as Res;
    } catch {
      // The same error that `failure` holds.
    } finally {
      call.cancel();
    }
    const error = await failure;
    if (error !== undefined && !signal.aborted) throw fromStatus(error, this.#target);
  }
}

function credentialsFor(target: RpcTarget): ChannelCredentials {
  if (!('address' in target)) return ChannelCredentials.createInsecure();
  const { secureContext, checkServerIdentity } = target.tls;
  return ChannelCredentials.createFromSecureContext(secureContext, { checkServerIdentity });
}

/**
 * Serves gRPC on connections that someone else accepted.
 *
 * TLS is not done here: whoever owns the mesh's TLS server has verified the peer before a byte of
 * gRPC is read, and hands the socket over with `inject`. Handlers are async functions and async
 * generators; what they throw becomes a status, and one failed call never touches another.
 */

import type { EventEmitter } from 'node:events';
import type { Duplex, Writable } from 'node:stream';
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls';
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { isMeshError } from '../mesh/errors.ts';
import type { Logger } from './log.ts';
import { RPC_KEEPALIVE, type RpcDefinition, type RpcMethod, toStatus } from './rpc.ts';

export interface CallContext {
  /** The peer's leaf certificate, DER; absent where clients present none. */
  readonly peerCertificate: Buffer | undefined;
  readonly remoteAddress: string;
  /** A header of the request, lower case, as text; the first of several. */
  readonly header: (name: string) => string | undefined;
  /** Aborts when the peer cancels or goes away. Made when first asked for: most calls are over at once. */
  readonly signal: AbortSignal;
}

type Handler<M> =
  M extends RpcMethod<infer Req, infer Res>
    ? M extends { readonly requestStream: true }
      ? (requests: AsyncIterable<Req>, context: CallContext) => AsyncIterable<Res>
      : M extends { readonly responseStream: true }
        ? (request: Req, context: CallContext) => AsyncIterable<Res>
        : (request: Req, context: CallContext) => Promise<Res>
    : never;

export type RpcHandlers<D extends { readonly methods: object }> = {
  readonly [K in keyof D['methods']]: Handler<D['methods'][K]>;
};

export interface RpcServer {
  /** Takes over an accepted, verified connection. */
  inject(connection: Duplex): void;
  /** Lets running calls finish until `graceMs` is over, then cuts them. */
  close(graceMs: number): Promise<void>;
}

export interface RpcService {
  readonly definition: RpcDefinition;
  readonly handlers: Readonly<Record<string, AnyHandler>>;
}

type AnyHandler = (input: never, context: CallContext) => unknown;

export function rpcService<D extends { readonly fullName: string; readonly methods: object }>(
  definition: D,
  handlers: RpcHandlers<D>,
): RpcService {
  return {
    definition: definition as unknown as RpcDefinition,
    handlers: handlers,
  };
}

export function createRpcServer(services: readonly RpcService[], log: Logger): RpcServer {
  const server = new Server({ ...RPC_KEEPALIVE, 'grpc.max_concurrent_streams': 100 });
  for (const service of services) addService(server, service, log);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    inject: connection => {
      if (connection instanceof TLSSocket) rememberPeer(connection);
      injector.injectConnection(connection);
    },
    close: async graceMs => {
      injector.drain(graceMs);
      injector.destroy();
      await new Promise<void>(resolve => {
        const timer = setTimeout(() => server.forceShutdown(), graceMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

/** Each call asks for the certificate, and reading it out of OpenSSL costs as much as a signature. */
function rememberPeer(connection: TLSSocket): void {
  const certificate = connection.getPeerCertificate();
  connection.getPeerCertificate = () => certificate as DetailedPeerCertificate;
}

function addService(server: Server, service: RpcService, log: Logger): void {
  const { definition, handlers } = service;
  const methods: Record<string, object> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [key, method] of Object.entries(definition.methods)) {
    const handler = handlers[key];
    if (handler === undefined)
      throw new Error(`no handler for ${definition.fullName}/${method.name}`);
    methods[key] = {
      path: `/${definition.fullName}/${method.name}`,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes: Buffer) => method.requestType.decode(bytes),
      responseSerialize: (message: never) =>
        Buffer.from(method.responseType.encode(message).finish()),
      responseDeserialize: (bytes: Buffer) => bytes,
    };
    const fail = (error: unknown): ReturnType<typeof toStatus> => {
      if (!isMeshError(error)) log.error({ error, method: method.name }, 'rpc handler failed');
      return toStatus(error);
    };
    implementation[key] = method.requestStream
      ? bidi(handler as never, fail)
      : method.responseStream
        ? serverStream(handler as never, fail)
        : unary(handler as never, fail);
  }
  server.addService(methods as never, implementation);
}

type Fail = (error: unknown) => ReturnType<typeof toStatus>;

function unary(
  handler: (request: unknown, context: CallContext) => Promise<unknown>,
  fail: Fail,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    const answer = async (): Promise<unknown> => handler(call.request, contextOf(call));
    answer().then(
      response => callback(null, response),
      (error: unknown) => callback(fail(error)),
    );
  };
}

function serverStream(
  handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>,
  fail: Fail,
): handleServerStreamingCall<unknown, unknown> {
  return call => void pump(call, context => handler(call.request, context), fail);
}

function bidi(
  handler: (requests: AsyncIterable<unknown>, context: CallContext) => AsyncIterable<unknown>,
  fail: Fail,
): handleBidiStreamingCall<unknown, unknown> {
  // A handler that stops reading, or throws while it does, must still be able to send its status.
  return call => {
    const requests = call.iterator({ destroyOnReturn: false });
    void pump(call, context => handler(requests, context), fail);
  };
}

/** Writes what the generator yields, no faster than the peer reads. */
async function pump(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  open: (context: CallContext) => AsyncIterable<unknown>,
  fail: Fail,
): Promise<void> {
  const context = contextOf(call);
  call.on('error', () => undefined); // The peer went away; `cancelled` has said so already.
  try {
    for await (const message of open(context)) {
      if (context.signal.aborted) return;
      if (!call.write(message)) await drained(call, context.signal);
    }
    call.end();
  } catch (error) {
    if (context.signal.aborted) return;
    call.emit('error', fail(error));
  }
}

function drained(call: Writable, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

function contextOf(
  call:
    | ServerUnaryCall<unknown, unknown>
    | ServerWritableStream<unknown, unknown>
    | ServerDuplexStream<unknown, unknown>,
): CallContext {
  let signal: AbortSignal | undefined;
  return {
    peerCertificate: call.getAuthContext().sslPeerCertificate?.raw,
    remoteAddress: call.getPeer(),
    header: name => call.metadata.get(name)[0]?.toString(),
    get signal() {
      return (signal ??= cancellationOf(call));
    },
  };
}

function cancellationOf(call: EventEmitter & { readonly cancelled: boolean }): AbortSignal {
  const cancelled = new AbortController();
  call.once('cancelled', () => cancelled.abort());
  if (call.cancelled) cancelled.abort();
  return cancelled.signal;
}

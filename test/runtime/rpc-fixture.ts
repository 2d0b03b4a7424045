/** A gRPC service of JSON messages, on a mesh TLS listener that hands its connections over. */

import { createServer, type TLSSocket } from 'node:tls';
import { afterEach } from 'mocha';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { listen } from '../../src/runtime/listen.ts';
import { createLogger } from '../../src/runtime/log.ts';
import type { MessageCodec } from '../../src/runtime/rpc.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import {
  createRpcServer,
  type RpcHandlers,
  type RpcServer,
  rpcService,
} from '../../src/runtime/rpc-server.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls, meshServerTls } from '../../src/trust-federation/peers/tls.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';

export interface Note {
  readonly text: string;
}

const codec: MessageCodec<Note> = {
  encode: note => ({ finish: () => Buffer.from(JSON.stringify(note)) }),
  decode: bytes => JSON.parse(Buffer.from(bytes).toString()) as Note,
};

const messages = { requestType: codec, responseType: codec };

export const Notes = {
  fullName: 'isthmus.test.Notes',
  methods: {
    ask: { ...messages, name: 'Ask', requestStream: false, responseStream: false },
    tail: { ...messages, name: 'Tail', requestStream: false, responseStream: true },
    chat: { ...messages, name: 'Chat', requestStream: true, responseStream: true },
  },
} as const;

export type NotesHandlers = RpcHandlers<typeof Notes>;

/** Handlers that fail a test which did not expect to reach them. */
const unexpected: NotesHandlers = {
  ask: () => Promise.reject(new Error('unexpected Ask')),
  tail: async function* () {
    throw new Error('unexpected Tail');
  },
  chat: async function* () {
    throw new Error('unexpected Chat');
  },
};

const authority = testAuthority('east.example', Date.now());
export const clientSvid = testSvid(authority, 'ns/shop/sa/cart', Date.now());
const serverSvid = testSvid(authority, 'ns/isthmus-system/sa/cluster-agent', Date.now());

export interface NotesServer {
  readonly address: SocketAddress;
  /** What was accepted and handed over, oldest first. */
  readonly sockets: readonly TLSSocket[];
  readonly rpc: RpcServer;
  readonly channel: RpcChannel;
  /** Stops the server; the channel stays open. */
  readonly stop: () => Promise<void>;
}

/** Call inside `describe`; the function returned starts a server and a channel for one test. */
export function useNotes(): (handlers: Partial<NotesHandlers>) => Promise<NotesServer> {
  const stops: (() => Promise<void>)[] = [];
  afterEach(() => Promise.all(stops.splice(0).map(stop => stop())));
  return async handlers => {
    const notes = await start(handlers);
    stops.push(() => {
      notes.channel.close();
      return notes.stop();
    });
    return notes;
  };
}

async function start(handlers: Partial<NotesHandlers>): Promise<NotesServer> {
  const service = rpcService(Notes, { ...unexpected, ...handlers });
  const log = createLogger('test');
  log.level = 'silent';
  const rpc = createRpcServer([service], log);
  const sockets: TLSSocket[] = [];
  const options = { ...meshServerTls(serverSvid, [authority.bundle]), ALPNProtocols: ['h2'] };
  const server = createServer(options, socket => {
    sockets.push(socket);
    rpc.inject(socket);
  });
  const address = await listen(server, { host: '127.0.0.1', port: 0 });
  const tls = meshRpcTls(clientSvid, authority.bundle, anyIdentity, Date.now);
  const channel = new RpcChannel(Notes, { address, tls });
  const stop = async (): Promise<void> => {
    server.close();
    await rpc.close(0);
  };
  return { address, sockets, rpc, channel, stop };
}

/**
 * gRPC over a Unix socket of this machine. Who may open the file is decided by its mode and that of its
 * directory; nothing that can reach a port of this process can reach what is served here.
 */

import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { MeshError, messageOf } from '../mesh/errors.ts';
import { closeServer } from './listen.ts';
import type { Logger } from './log.ts';
import { createRpcServer, type RpcServer, type RpcService } from './rpc-server.ts';
import { aborted } from './supervise.ts';

/** `sun_path` on Linux is 108 bytes with its terminator. */
const SOCKET_PATH_BYTES_MAX = 107;
const CONNECTIONS_MAX = 32;
/** For running calls when the process stops. */
const STOP_GRACE_MS = 500;

export interface RpcSocketOptions {
  /** The task's. */
  readonly name: string;
  readonly path: string;
  /** Who may open it: the kernel is the authentication. */
  readonly mode: number;
  readonly services: readonly RpcService[];
  readonly log: Logger;
}

export class RpcSocket {
  readonly name: string;
  readonly path: string;
  readonly #mode: number;
  readonly #server: Server;
  readonly #rpc: RpcServer;
  readonly #connections = new Set<Socket>();

  constructor({ name, path, mode, services, log }: RpcSocketOptions) {
    this.name = name;
    this.path = resolve(path);
    this.#mode = mode;
    this.#rpc = createRpcServer(services, log);
    this.#server = createServer(socket => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
      socket.on('error', () => socket.destroy());
      this.#rpc.inject(socket);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Takes over the socket file of a process that is gone. Throws STATE_LOCKED, FILE_UNREADABLE. */
  async listen(): Promise<void> {
    const { path } = this;
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      throw new MeshError(
        'FILE_UNREADABLE',
        `socket path "${path}" is ${Buffer.byteLength(path)} bytes long, the system's limit is ${SOCKET_PATH_BYTES_MAX}; use a shorter path`,
      );
    }
    if (await isServed(path)) {
      throw new MeshError(
        'STATE_LOCKED',
        `"${path}" is served by another process; stop it or use another path`,
      );
    }
    await rm(path, { force: true });
    await new Promise<void>((done, fail) => {
      this.#server.once('error', cause =>
        fail(new MeshError('FILE_UNREADABLE', `"${path}": ${messageOf(cause)}`, { cause })),
      );
      this.#server.listen(path, done);
    });
    await chmod(path, this.#mode);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = closeServer(this.#server);
    await this.#rpc.close(STOP_GRACE_MS);
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }
}

/** Whether a process answers there. */
export function isServed(path: string): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(path, () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

/**
 * gRPC for the operator of this process, over a Unix socket in its state directory.
 *
 * Who may open the socket is the operator: it is 0600 in a directory that is 0700, so the kernel
 * authenticates, and nothing that can reach a port of this process can change anything here. Remote
 * operators come over ssh or `kubectl exec`.
 */

import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { MeshError, messageOf } from '../mesh/errors.ts';
import { closeServer } from './listen.ts';
import type { Logger } from './log.ts';
import { createRpcServer, type RpcServer, type RpcService } from './rpc-server.ts';
import { aborted } from './supervise.ts';

/** In the state directory. */
export const OPERATOR_SOCKET = 'operator.sock';
/** `sun_path` on Linux is 108 bytes with its terminator. */
const SOCKET_PATH_BYTES_MAX = 107;
const CONNECTIONS_MAX = 32;
/** For running calls when the process stops. */
const STOP_GRACE_MS = 500;

export class OperatorSocket {
  readonly name = 'operator-socket';
  readonly path: string;
  readonly #server: Server;
  readonly #rpc: RpcServer;
  readonly #connections = new Set<Socket>();

  constructor(stateDir: string, services: readonly RpcService[], log: Logger) {
    this.path = resolve(join(stateDir, OPERATOR_SOCKET));
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
        `socket path "${path}" is ${Buffer.byteLength(path)} bytes long, the system's limit is ${SOCKET_PATH_BYTES_MAX}; use a shorter state directory`,
      );
    }
    if (await isServed(path)) {
      throw new MeshError(
        'STATE_LOCKED',
        `"${path}" is served by another process; stop it or use another state directory`,
      );
    }
    await rm(path, { force: true });
    await new Promise<void>((done, fail) => {
      this.#server.once('error', cause =>
        fail(new MeshError('FILE_UNREADABLE', `"${path}": ${messageOf(cause)}`, { cause })),
      );
      this.#server.listen(path, done);
    });
    await chmod(path, 0o600);
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

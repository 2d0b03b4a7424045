/**
 * libuv's TCP as Node's own native modules offer it, undocumented: its types, and whether it is all here.
 *
 * As in socket-internals.ts, to which a stream of Node's own belongs: nothing is used unless this is a Node
 * under which it was tried and every name is found with its kind. `tcp-handles.ts` makes connections of it.
 */

import { isTriedBelow, nodesBinding } from './socket-internals.ts';

/** Whom a handle and its writes tell: libuv calls a function with them as `this` and nothing of ours. */
export interface HandleOwner {
  /** Answers what to read into next, when that is another buffer than before. */
  onRead(): Buffer | undefined;
  onWritten(status: number): void;
}

/** What libuv is asked for; it is held until `oncomplete`. */
export interface Request {
  oncomplete?: (this: this, status: number) => void;
  owner?: HandleOwner;
  /** Keeps the bytes while libuv has them. */
  bytes?: Buffer;
}

/** Methods answer a libuv status: below 0 is an error. */
export interface Handle {
  owner?: HandleOwner;
  /** What it returns is read into from then on. */
  onread: (this: Handle) => Buffer | undefined;
  onconnection: (status: number, accepted: Handle) => void;
  bind(host: string, port: number): number;
  bind6(host: string, port: number, flags: number): number;
  listen(backlog: number): number;
  connect(request: Request, host: string, port: number): number;
  connect6(request: Request, host: string, port: number): number;
  getpeername(into: { address?: string }): number;
  getsockname(into: { address?: string; port?: number }): number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: Request, bytes: Buffer): number;
  shutdown(request: Request): number;
  setNoDelay(isOn: boolean): number;
  setKeepAlive(isOn: boolean, idleSeconds: number): number;
  reset(): number;
  close(): void;
}

export interface TcpHandles {
  readonly newHandle: (kind: 'connection' | 'server') => Handle;
  readonly newConnect: () => Request;
  readonly newWrite: () => Request;
  readonly newShutdown: () => Request;
  /** Where libuv's binding leaves what came of the last read and write. */
  readonly state: Int32Array;
  readonly bytesOrError: number;
  readonly wasAsync: number;
}

const HANDLE_METHODS = [
  ...['bind', 'bind6', 'listen', 'connect', 'connect6', 'getpeername', 'getsockname'],
  ...['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'shutdown'],
  ...['setNoDelay', 'setKeepAlive', 'reset', 'close'],
];

/** Undefined: not possible here. */
export const tcpHandles: TcpHandles | undefined = isTriedBelow ? findTcpHandles() : undefined;

function findTcpHandles(): TcpHandles | undefined {
  const { TCP, TCPConnectWrap, constants } = nodesBinding<{
    TCP: new (kind: number) => Handle;
    TCPConnectWrap: new () => Request;
    constants: { SOCKET: number; SERVER: number };
  }>('tcp_wrap');
  const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } =
    nodesBinding<{
      WriteWrap: new () => Request;
      ShutdownWrap: new () => Request;
      streamBaseState: Int32Array;
      kReadBytesOrError: number;
      kLastWriteWasAsync: number;
    }>('stream_wrap');
  const found =
    typeof TCP === 'function' &&
    HANDLE_METHODS.every(
      name => typeof Reflect.get(TCP.prototype as object, name) === 'function',
    ) &&
    typeof TCPConnectWrap === 'function' &&
    typeof constants?.SOCKET === 'number' &&
    typeof constants.SERVER === 'number' &&
    typeof WriteWrap === 'function' &&
    typeof ShutdownWrap === 'function' &&
    streamBaseState instanceof Int32Array &&
    typeof kReadBytesOrError === 'number' &&
    typeof kLastWriteWasAsync === 'number';
  if (!found) return undefined;
  const { SOCKET, SERVER } = constants;
  return {
    newHandle: kind => new TCP(kind === 'server' ? SERVER : SOCKET),
    newConnect: () => new TCPConnectWrap(),
    newWrite: () => new WriteWrap(),
    newShutdown: () => new ShutdownWrap(),
    state: streamBaseState,
    bytesOrError: kReadBytesOrError,
    wasAsync: kLastWriteWasAsync,
  };
}

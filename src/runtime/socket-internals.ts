/**
 * Sockets below Node's public API (docs/decisions/0010); tcp-binding.ts, which goes further, builds on this.
 *
 * Two things that cost a data plane most of its user time: Node allocates 64 KiB for each read of a socket
 * it has accepted or put TLS on, and a write passes through a stream's queue even when that is empty.
 * Optional: whatever is not found exactly as it was tried, the callers do with the public API instead,
 * and `ISTHMUS_SOCKETS=public` asks for that. Nothing else may depend on which of the two it is.
 */

import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** Major versions of Node under which the tests have run. */
const TRIED: readonly string[] = ['20', '22', '24'];

/** What libuv is asked to do; one object for each write that it cannot finish at once. */
interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Keeps the bytes while libuv has them. */
  data?: Buffer | string;
}

interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  writeLatin1String(request: WriteRequest, text: string): number;
}

interface Internals {
  readonly buffer: symbol;
  readonly bufferSource: symbol;
  readonly callback: symbol;
  readonly newRequest: () => WriteRequest;
  /** Where libuv's binding leaves what came of the last write. */
  readonly state: Int32Array;
  readonly wasAsync: number;
}

/** Wanted, and this is a Node on which it was tried; what is needed must still be looked for. */
export const isTriedBelow =
  process.env['ISTHMUS_SOCKETS'] !== 'public' &&
  TRIED.includes(process.versions.node.split('.')[0] ?? '');

const internals = isTriedBelow ? findInternals() : undefined;

/** For the log. */
export const socketAccess: 'handles' | 'public' = internals === undefined ? 'public' : 'handles';

/** As `net.connect` takes it: what to read into, or who says so before each read; false is a pause. */
export interface Onread {
  readonly buffer: Uint8Array | (() => Uint8Array);
  readonly callback: (length: number, buffer: Uint8Array) => boolean;
}

/**
 * `net.connect`'s `onread` for a socket that exists already: accepted, or TLS. What arrived before is still
 * told by 'data'. False: not possible here, and everything is.
 */
export function giveOnread(socket: Socket, { buffer, callback }: Onread): boolean {
  const handle = handleOf(socket);
  if (internals === undefined || handle === undefined) return false;
  const source = typeof buffer === 'function' ? buffer : null;
  const first = typeof buffer === 'function' ? buffer() : buffer;
  Object.assign(socket, {
    [internals.buffer]: first,
    [internals.bufferSource]: source,
    [internals.callback]: callback,
  });
  handle.useUserBuffer(first);
  return true;
}

/** A write to the handle itself; `onComplete` is called only if the answer was 'pending'. */
export type HandleWrite = (data: Buffer | string) => 'done' | 'pending' | Error;

/**
 * Undefined: not possible here. One write at a time: a TLS handle ends the process at a second one. Whoever
 * uses it writes by no other way.
 */
export function handleWrite(
  socket: Socket,
  onComplete: (error: Error | undefined) => void,
): HandleWrite | undefined {
  const handle = handleOf(socket);
  if (internals === undefined || handle === undefined) return undefined;
  const { newRequest, state, wasAsync } = internals;
  const oncomplete = (status: number): void =>
    onComplete(status < 0 ? writeError(status) : undefined);
  let request: WriteRequest | undefined;
  return data => {
    if (request === undefined) {
      request = newRequest();
      request.oncomplete = oncomplete;
    }
    const status =
      typeof data === 'string'
        ? handle.writeLatin1String(request, data)
        : handle.writeBuffer(request, data);
    if (status < 0) return writeError(status);
    // One that was finished at once was never given to libuv, and serves again.
    if (state[wasAsync] === 0) return 'done';
    request.data = data;
    request = undefined;
    return 'pending';
  };
}

function handleOf(socket: Socket): Handle | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Partial<Handle> | null };
  return typeof handle?.useUserBuffer === 'function' &&
    typeof handle.writeBuffer === 'function' &&
    typeof handle.writeLatin1String === 'function'
    ? (handle as Handle)
    : undefined;
}

function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code });
}

function findInternals(): Internals | undefined {
  const { WriteWrap, streamBaseState, kLastWriteWasAsync } = nodesBinding<{
    WriteWrap: new () => WriteRequest;
    streamBaseState: Int32Array;
    kLastWriteWasAsync: number;
  }>('stream_wrap');
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const named = (name: string) => symbols.find(({ description }) => description === name);
  const buffer = named('kBuffer');
  const bufferSource = named('kBufferGen');
  const callback = named('kBufferCb');
  const found =
    typeof WriteWrap === 'function' &&
    streamBaseState instanceof Int32Array &&
    typeof kLastWriteWasAsync === 'number' &&
    buffer !== undefined &&
    bufferSource !== undefined &&
    callback !== undefined;
  if (!found) return undefined;
  return {
    ...{ buffer, bufferSource, callback, newRequest: () => new WriteWrap() },
    ...{ state: streamBaseState, wasAsync: kLastWriteWasAsync },
  };
}

/** One of Node's own modules of native code, or nothing: a process started with restrictions has none. */
export function nodesBinding<T extends object>(name: string): Partial<T> {
  try {
    return (process as unknown as { binding(name: string): Partial<T> }).binding(name);
  } catch {
    return {};
  }
}

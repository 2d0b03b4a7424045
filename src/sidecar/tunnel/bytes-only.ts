/**
 * Node 20.20.2 can send freed memory for a string written to an HTTP/2 stream over TLS: a request head
 * that node:http flushed arrived with other bytes in the place of its first sixteen, every time. Bytes
 * are kept alive until they are sent, so strings become bytes before the stream sees them.
 */

import type { Duplex } from 'node:stream';

/** The same stream. */
export function writingBytesOnly<S extends Duplex>(stream: S): S {
  const write = stream._write.bind(stream);
  const writev = stream._writev?.bind(stream);
  stream._write = (chunk: Chunk, encoding, done) => write(bytesOf(chunk, encoding), BYTES, done);
  stream._writev = (chunks: Written[], done) => {
    const bytes = chunks.map(({ chunk, encoding }) => ({
      chunk: bytesOf(chunk, encoding),
      encoding: BYTES,
    }));
    writev?.(Object.assign(bytes, { allBuffers: true }), done);
  };
  return stream;
}

type Chunk = string | Buffer;

interface Written {
  readonly chunk: Chunk;
  readonly encoding: BufferEncoding;
}

/** What the Writable interface calls the encoding of bytes, and its typings do not know. */
const BYTES = 'buffer' as BufferEncoding;

function bytesOf(chunk: Chunk, encoding: BufferEncoding): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

/**
 * Either end of a connection, writing down what it is told; and wires between two of them, or to a peer
 * that is played by hand.
 */

import {
  type ConnectionEnd,
  Http2Connection,
  type ServerHandler,
} from '../../../src/wire/http2/connection.ts';
import type { RequestHead, ResponseHead } from '../../../src/wire/http2/heads.ts';
import { SLAB_BYTES, SPARE_SLABS_MAX } from '../../../src/wire/http2/limits.ts';
import type { Http2Stream, StreamHandler } from '../../../src/wire/http2/stream.ts';
import { Slabs } from '../../../src/wire/slabs.ts';
import { PREFACE, rawSettings, rawSettingsAck, type SeenFrame, seeFrames } from './raw-frames.ts';

export const CONNECT: RequestHead = { method: 'CONNECT', authority: 'a.b:80', fields: [] };
export const OK: ResponseHead = { status: 200, fields: [] };

export class StreamRecorder implements StreamHandler {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  stream!: Http2Stream;
  /** Whether bytes are given back to the sender at once. */
  consumes = true;
  whenWritable: () => void = () => undefined;
  whenData: (bytes: Buffer) => void = () => undefined;

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onHeaders(head: ResponseHead): void {
    this.events.push(`headers ${head.status}`);
  }

  onData(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes));
    if (this.consumes) this.stream.consumed(bytes.length);
    this.whenData(bytes);
  }

  onEnd(): void {
    this.events.push('end');
  }

  onReset(code: number): void {
    this.events.push(`reset ${code}`);
  }

  onWritable(): void {
    this.events.push('writable');
    this.whenWritable();
  }
}

export interface Clock {
  nowMs: number;
}

export class Endpoint implements ServerHandler {
  readonly connection: Http2Connection;
  readonly events: string[] = [];
  /** Those the peer opened. */
  readonly accepted: StreamRecorder[] = [];
  readonly clock: Clock = { nowMs: 1_000 };
  end: ConnectionEnd | undefined;
  outputs = 0;
  /** What a server does with a new stream. */
  whenStream: (stream: Http2Stream, recorder: StreamRecorder) => void = stream =>
    stream.sendHeaders(OK);

  constructor(role: 'client' | 'server') {
    this.connection = new Http2Connection({
      role,
      handler: this,
      slabs: new Slabs(SLAB_BYTES, SPARE_SLABS_MAX),
      now: () => this.clock.nowMs,
    });
    this.connection.start();
  }

  onStream(stream: Http2Stream, head: RequestHead): StreamHandler {
    const recorder = new StreamRecorder();
    recorder.stream = stream;
    this.accepted.push(recorder);
    this.events.push(`stream ${stream.id} ${head.method} ${head.authority ?? ''}`);
    this.whenStream(stream, recorder);
    return recorder;
  }

  onOutput(): void {
    this.outputs++;
  }

  onSettled(): void {
    this.events.push('settled');
  }

  onGoaway(code: number, reason: string): void {
    this.events.push(`goaway ${code} "${reason}"`);
  }

  onEnded(end: ConnectionEnd): void {
    this.events.push(end.kind);
    this.end = end;
  }

  open(head: RequestHead = CONNECT): StreamRecorder {
    const recorder = this.tryOpen(head);
    if (recorder === undefined) throw new Error('no room for a stream');
    return recorder;
  }

  tryOpen(head: RequestHead = CONNECT): StreamRecorder | undefined {
    const recorder = new StreamRecorder();
    const stream = this.connection.openStream(head, recorder);
    if (stream === undefined) return undefined;
    recorder.stream = stream;
    return recorder;
  }

  /** The code that ended the connection. */
  get failure(): number | undefined {
    return this.end?.kind === 'failed' ? this.end.code : undefined;
  }

  /** What the peer is sent, as frames. */
  sent(): SeenFrame[] {
    return seeFrames(this.connection.takeOutput());
  }

  receive(...frames: Buffer[]): void {
    this.connection.receive(Buffer.concat(frames));
  }
}

/** Both ends, greeted and settled. */
export function connectedPair(): { client: Endpoint; server: Endpoint; settle: () => void } {
  const client = new Endpoint('client');
  const server = new Endpoint('server');
  const settle = (): void => {
    while (client.connection.outputBytes > 0 || server.connection.outputBytes > 0) {
      if (client.connection.outputBytes > 0) server.receive(client.connection.takeOutput());
      if (server.connection.outputBytes > 0) client.receive(server.connection.takeOutput());
    }
  };
  settle();
  client.events.length = 0;
  server.events.length = 0;
  return { client, server, settle };
}

/** One end, greeted by a peer that is played by hand; its own greeting is taken away. */
export function greeted(
  role: 'client' | 'server',
  settings: readonly (readonly [number, number])[] = [],
): Endpoint {
  const endpoint = new Endpoint(role);
  if (role === 'server') endpoint.receive(PREFACE);
  endpoint.receive(rawSettings(...settings), rawSettingsAck());
  endpoint.connection.takeOutput();
  endpoint.events.length = 0;
  return endpoint;
}

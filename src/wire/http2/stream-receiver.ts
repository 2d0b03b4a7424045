/**
 * What the peer does to streams: HEADERS, DATA, RST_STREAM and WINDOW_UPDATE as RFC 9113 §5.1 allows
 * them in each state.
 *
 * What arrives for a closed stream may have left the peer before it heard of our reset, so it is dropped
 * (§5.1); only frames that carry nothing are counted. A stream is reset at the peer's doing only so
 * often, whoever sends the RST_STREAM.
 */

import type { Budget } from './budget.ts';
import { H2, type H2Code, Http2Violation } from './error-codes.ts';
import { protocol } from './frame-rules.ts';
import type { FrameWriter } from './frames.ts';
import { parseRequest, parseResponse, parseTrailers, type RequestHead } from './heads.ts';
import type { HeaderField } from './hpack-decoder.ts';
import type { Sender } from './sender.ts';
import type { Http2Stream, LiveStream, StreamHandler } from './stream.ts';
import { canReceive } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

export interface StreamReceiverOptions {
  readonly table: StreamTable;
  readonly frames: FrameWriter;
  readonly sender: Sender;
  /** Frames that carry nothing for an application. */
  readonly idleFrames: Budget;
  /** Streams that ended otherwise than by both ends. */
  readonly resets: Budget;
  /** A server's. */
  readonly onStream: ((stream: Http2Stream, head: RequestHead) => StreamHandler) | undefined;
}

export class StreamReceiver {
  readonly #options: StreamReceiverOptions;
  readonly #table: StreamTable;
  #refusesNew = false;

  constructor(options: StreamReceiverOptions) {
    this.#options = options;
    this.#table = options.table;
  }

  /** After the last GOAWAY: streams beyond it are refused. */
  refuseNew(): void {
    this.#refusesNew = true;
  }

  data(streamId: number, bytes: Buffer, padding: number, endStream: boolean): void {
    const flowBytes = bytes.length + padding;
    if (bytes.length === 0 && !endStream) this.countIdleFrame(1);
    const { window } = this.#table;
    if (!window.received(flowBytes)) throw overrun('connection');
    const stream = this.#table.get(streamId);
    if (stream === undefined || !canReceive(stream.state)) {
      window.consumed(flowBytes);
      if (stream !== undefined) this.#refuse(stream, H2.STREAM_CLOSED);
      else if (this.#table.isIdle(streamId)) throw protocol('DATA on an idle stream');
      return;
    }
    if (!stream.receiveWindow.received(flowBytes)) throw overrun('stream');
    if (padding > 0) this.#table.consumed(stream, padding);
    if (stream.bytesExpected !== undefined) stream.bytesExpected -= bytes.length;
    const isMalformed =
      (stream.bytesExpected ?? 0) < 0 ||
      (this.#table.role === 'client' && stream.status === undefined);
    if (isMalformed) {
      this.#refuse(stream, H2.PROTOCOL_ERROR);
      return;
    }
    if (bytes.length > 0) stream.handler?.onData(bytes);
    if (endStream) this.#end(stream);
  }

  headers(streamId: number, list: readonly HeaderField[], endStream: boolean): void {
    const stream = this.#table.get(streamId);
    if (stream === undefined) this.#headersOfNoStream(streamId, list, endStream);
    else if (!canReceive(stream.state)) this.#refuse(stream, H2.STREAM_CLOSED);
    else if (this.#table.role === 'client' && stream.status === undefined) {
      this.#response(stream, list, endStream);
    } else this.#trailers(stream, list, endStream);
  }

  rstStream(streamId: number, code: H2Code): void {
    const stream = this.#table.get(streamId);
    if (stream === undefined) {
      if (this.#table.isIdle(streamId)) throw protocol('RST_STREAM on an idle stream');
      this.countIdleFrame(1);
      return;
    }
    this.#countReset();
    this.#table.abort(stream, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.countIdleFrame(1);
    if (streamId === 0) {
      this.#options.sender.windowUpdate(undefined, increment);
      return;
    }
    const stream = this.#table.get(streamId);
    if (stream !== undefined) this.#options.sender.windowUpdate(stream, increment);
    else if (this.#table.isIdle(streamId)) throw protocol('WINDOW_UPDATE on an idle stream');
  }

  countIdleFrame(cost: number): void {
    if (this.#options.idleFrames.take(cost)) return;
    throw new Http2Violation(H2.ENHANCE_YOUR_CALM, 'found too many frames that carry nothing');
  }

  #countReset(): void {
    if (this.#options.resets.take(1)) return;
    throw new Http2Violation(H2.ENHANCE_YOUR_CALM, 'found too many streams cut short');
  }

  #headersOfNoStream(streamId: number, list: readonly HeaderField[], endStream: boolean): void {
    if (!this.#table.isIdle(streamId)) {
      // An answer or trailers may cross our reset; a request cannot.
      if (this.#table.role === 'client' || endStream) return;
      throw new Http2Violation(H2.STREAM_CLOSED, 'found HEADERS on a closed stream');
    }
    const { onStream } = this.#options;
    if (onStream === undefined || streamId % 2 === 0) {
      throw protocol("HEADERS on a stream that is not the sender's to open");
    }
    this.#table.seePeerId(streamId);
    if (this.#refusesNew || !this.#table.hasRoomForPeers) {
      this.#refuseId(streamId, H2.REFUSED_STREAM);
      return;
    }
    const request = parseRequest(list);
    if (request.kind === 'malformed') {
      this.#refuseId(streamId, H2.PROTOCOL_ERROR);
      return;
    }
    const stream = this.#table.accept(streamId, request.head);
    stream.handler = onStream(stream, request.head);
    if (endStream) this.#end(stream);
  }

  #response(stream: LiveStream, list: readonly HeaderField[], endStream: boolean): void {
    const response = parseResponse(list);
    if (response.kind === 'malformed' || (response.head.status < 200 && endStream)) {
      this.#refuse(stream, H2.PROTOCOL_ERROR);
      return;
    }
    if (response.head.status < 200) {
      this.countIdleFrame(1);
      return;
    }
    stream.status = response.head.status;
    stream.handler?.onHeaders?.(response.head);
    if (endStream) this.#end(stream);
  }

  /** Checked and dropped: nothing here forwards them. A tunnel has none (RFC 9113 §8.5). */
  #trailers(stream: LiveStream, list: readonly HeaderField[], endStream: boolean): void {
    const mayEnd = this.#table.role === 'server' ? !stream.isConnect : !stream.isTunnel;
    if (mayEnd && endStream && parseTrailers(list).kind === 'parsed') this.#end(stream);
    else this.#refuse(stream, H2.PROTOCOL_ERROR);
  }

  #end(stream: LiveStream): void {
    // The handler may have reset it while it was being told.
    if (!canReceive(stream.state)) return;
    if ((stream.bytesExpected ?? 0) > 0) this.#refuse(stream, H2.PROTOCOL_ERROR);
    else this.#table.peerEnded(stream);
  }

  /** A stream error (RFC 9113 §5.4.2). */
  #refuse(stream: LiveStream, code: H2Code): void {
    this.#refuseId(stream.id, code);
    this.#table.abort(stream, code);
  }

  #refuseId(streamId: number, code: H2Code): void {
    this.#countReset();
    this.#options.frames.rstStream(streamId, code);
  }
}

function overrun(of: string): Http2Violation {
  return new Http2Violation(H2.FLOW_CONTROL_ERROR, `found more bytes than the ${of} window allows`);
}

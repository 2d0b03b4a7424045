/** A FrameSink that writes down what it is told, with the pieces of one DATA frame joined. */

import type { FrameSink } from '../../../src/wire/http2/frame-decoder.ts';

export class RecordingSink implements FrameSink {
  readonly seen: string[] = [];
  #data = '';
  #padding = 0;

  data(streamId: number, bytes: Buffer, padding: number, endStream: boolean): void {
    this.#data += bytes.toString('latin1');
    this.#padding += padding;
    const previous = this.seen.at(-1);
    // Pieces join, so that a recording does not depend on where chunks ended.
    if (previous?.startsWith(`data ${streamId} `) && previous.endsWith('…')) this.seen.pop();
    else {
      this.#data = bytes.toString('latin1');
      this.#padding = padding;
    }
    this.seen.push(`data ${streamId} "${this.#data}" +${this.#padding}${endStream ? ' end' : '…'}`);
  }

  headers(streamId: number, block: Buffer, endStream: boolean): void {
    this.seen.push(`headers ${streamId} ${block.toString('hex')}${endStream ? ' end' : ''}`);
  }

  rstStream(streamId: number, code: number): void {
    this.seen.push(`rst ${streamId} ${code}`);
  }

  settings(payload: Buffer): void {
    this.seen.push(`settings ${payload.toString('hex')}`);
  }

  settingsAck(): void {
    this.seen.push('settings ack');
  }

  ping(payload: Buffer, isAck: boolean): void {
    this.seen.push(`ping ${payload.toString('hex')}${isAck ? ' ack' : ''}`);
  }

  goaway(lastStreamId: number, code: number, debug: Buffer): void {
    this.seen.push(`goaway ${lastStreamId} ${code} "${debug.toString('latin1')}"`);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.seen.push(`window ${streamId} ${increment}`);
  }

  ignored(): void {
    this.seen.push('ignored');
  }
}

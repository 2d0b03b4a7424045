/** Receiving within windows, and what a slow reader does to others: nothing (RFC 9113 §5.2). */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import {
  CONNECTION_UNREAD_BYTES_MAX,
  CONNECTION_WINDOW_BYTES,
  STREAM_OUTPUT_BYTES_MAX,
  STREAM_WINDOW_BYTES,
} from '../../../src/wire/http2/limits.ts';
import { connectedPair, greeted } from './endpoint.ts';
import { rawConnect, rawData, rawHeaders, rawWindow } from './raw-frames.ts';

const bytes = (length: number): Buffer => Buffer.alloc(length, 0x61);

describe('receiving', () => {
  it('gives credit in steps of half a window, for the stream and the connection', () => {
    const { client: near, server, settle } = connectedPair();
    const { stream } = near.open();
    settle();
    const updates: number[] = [];
    for (let sent = 0; sent < CONNECTION_WINDOW_BYTES; sent += 16_384) {
      stream.write(bytes(16_384));
      server.receive(near.connection.takeOutput());
      const output = server.connection.outputBytes > 0 ? server.sent() : [];
      for (const frame of output) updates.push(frame.streamId);
      near.receive(rawWindow(1, 16_384), rawWindow(0, 16_384));
    }
    const perStream = CONNECTION_WINDOW_BYTES / (STREAM_WINDOW_BYTES / 2);
    expect(updates.filter(id => id === 1)).to.have.length(perStream);
    expect(updates.filter(id => id === 0)).to.have.length(2);
  });

  it('a slow reader stalls only itself', () => {
    const { client: near, server, settle } = connectedPair();
    const slow = Array.from({ length: 12 }, () => near.open());
    settle();
    for (const recorder of server.accepted) recorder.consumes = false;
    for (const { stream } of slow) {
      for (let i = 0; i < 8; i++) {
        stream.write(bytes(STREAM_OUTPUT_BYTES_MAX));
        settle();
      }
    }
    for (const recorder of server.accepted) {
      expect(recorder.received.length).to.equal(STREAM_WINDOW_BYTES);
    }
    const lively = near.open();
    settle();
    for (let i = 0; i < 100; i++) {
      expect(lively.stream.write(bytes(50_000))).to.equal(50_000);
      settle();
    }
  });

  it('holds no more unread bytes than the connection may, and goes on once they are read', () => {
    const { client: near, server, settle } = connectedPair();
    const streams = Array.from({ length: 60 }, () => near.open());
    settle();
    for (const recorder of server.accepted) recorder.consumes = false;
    const unread = (): number =>
      server.accepted.reduce((sum, { received }) => sum + received.length, 0);
    for (const recorder of streams) {
      const write = (): unknown => recorder.stream.write(bytes(STREAM_WINDOW_BYTES));
      recorder.whenWritable = write;
      write();
      settle();
    }
    expect(unread()).to.be.at.most(CONNECTION_UNREAD_BYTES_MAX);
    expect(unread()).to.be.greaterThan(CONNECTION_UNREAD_BYTES_MAX - CONNECTION_WINDOW_BYTES);
    const before = unread();
    // Closing counts as reading, whoever does it.
    for (const recorder of server.accepted.slice(0, 30)) recorder.stream.reset(H2.CANCEL);
    settle();
    expect(unread()).to.be.greaterThan(before);
  });

  it('still counts what is read after the end of the stream', () => {
    const { client: near, server, settle } = connectedPair();
    for (let i = 0; i < 100; i++) {
      const { stream } = near.open();
      settle();
      const far = server.accepted.at(-1)!;
      far.consumes = false;
      for (let sent = 0; sent < STREAM_WINDOW_BYTES; ) {
        sent += stream.write(bytes(STREAM_WINDOW_BYTES - sent));
        settle();
      }
      stream.end();
      far.stream.end();
      settle();
      expect(far.stream.state).to.equal('closed');
      far.stream.consumed(STREAM_WINDOW_BYTES);
      far.stream.consumed(STREAM_WINDOW_BYTES);
      // The connection may get credit for it; the closed stream no more.
      const output = server.sent();
      expect(output.every(({ streamId }) => streamId === 0)).to.equal(true);
      for (const { payload } of output) near.receive(rawWindow(0, payload.readUInt32BE(0)));
    }
  });

  it('a peer that sends beyond the window of a stream ends the connection', () => {
    for (const extra of [0, 1]) {
      const server = greeted('server');
      server.whenStream = (_stream, recorder) => {
        recorder.consumes = false;
      };
      server.receive(rawHeaders(1, rawConnect()));
      for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += 16_384) {
        server.receive(rawData(1, 'x'.repeat(16_384)));
      }
      server.receive(rawData(1, 'x'.repeat(extra)));
      expect(server.failure).to.equal(extra === 0 ? undefined : H2.FLOW_CONTROL_ERROR);
    }
  });

  it('a peer that sends beyond the window of the connection ends it', () => {
    const server = greeted('server');
    server.whenStream = (_stream, recorder) => {
      recorder.consumes = false;
    };
    for (let id = 1; id < 200 && server.end === undefined; id += 2) {
      server.receive(rawHeaders(id, rawConnect()));
      for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += 16_384) {
        server.receive(rawData(id, 'x'.repeat(16_384)));
      }
    }
    expect(server.failure).to.equal(H2.FLOW_CONTROL_ERROR);
  });
});

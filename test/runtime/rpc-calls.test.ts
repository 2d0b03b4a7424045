import { expect } from 'chai';
import { describe, it } from 'mocha';
import { MeshError } from '../../src/mesh/errors.ts';
import { RPC_MESSAGE_BYTES_MAX } from '../../src/runtime/rpc.ts';
import { aborted } from '../../src/runtime/supervise.ts';
import { Gate } from './gate.ts';
import { meshErrorOf } from './rejection.ts';
import { clientSvid, type Note, Notes, useNotes } from './rpc-fixture.ts';

const { ask } = Notes.methods;
const note = (text: string): Note => ({ text });

describe('gRPC calls', () => {
  const serve = useNotes();

  describe('a unary call', () => {
    it('gets its answer, and its handler sees the peer', async () => {
      let peer: Buffer | undefined;
      let remote = '';
      const { channel } = await serve({
        ask: async ({ text }, context) => {
          peer = context.peerCertificate;
          remote = context.remoteAddress;
          return note(text.toUpperCase());
        },
      });
      expect(await channel.unary(ask, note('hello'))).to.deep.equal(note('HELLO'));
      expect(peer?.equals(clientSvid.chain[0]!)).to.equal(true);
      expect(remote).to.match(/^127\.0\.0\.1:\d+$/);
    });

    it('that is refused gets the code and message of the handler', async () => {
      const { channel } = await serve({
        ask: () =>
          Promise.reject(new MeshError('TOKEN_USED', 'token "é\n" was used; make another')),
      });
      const error = await meshErrorOf(channel.unary(ask, note('')), 'TOKEN_USED');
      expect(error.message).to.equal('token "é\n" was used; make another');
    });

    it('that is refused without waiting gets the code just the same', async () => {
      const { channel } = await serve({
        ask: () => {
          throw new MeshError('REQUEST_INVALID', 'no');
        },
      });
      await meshErrorOf(channel.unary(ask, note('')), 'REQUEST_INVALID');
    });

    it('that meets a bug learns nothing of its text', async () => {
      const { channel } = await serve({
        ask: () => Promise.reject(new TypeError('secret detail')),
      });
      const error = await meshErrorOf(channel.unary(ask, note('')), 'PROTOCOL_VIOLATION');
      expect(error.message).to.include('internal error').and.not.include('secret');
    });

    it('gets the code however long and odd the message is', async () => {
      const odd = `\ud800${'x'.repeat(100_000)}`;
      const { channel } = await serve({
        ask: () => Promise.reject(new MeshError('REQUEST_INVALID', odd)),
      });
      const error = await meshErrorOf(channel.unary(ask, note('')), 'REQUEST_INVALID');
      expect(error.message).to.match(/^\ufffdx+…$/);
    });

    it('gives up at its deadline', async () => {
      const { channel } = await serve({ ask: () => new Promise(() => undefined) });
      const call = channel.unary(ask, note(''), { deadlineMs: 50 });
      await meshErrorOf(call, 'DEADLINE_EXCEEDED');
    });

    it('that is aborted rejects at once and aborts its handler', async () => {
      const reached = new Gate<AbortSignal>();
      const { channel } = await serve({
        ask: (_request, { signal }) => {
          reached.open(signal);
          return new Promise(() => undefined);
        },
      });
      const stop = new AbortController();
      const call = channel.unary(ask, note(''), { signal: stop.signal, deadlineMs: 60_000 });
      const handlerSignal = await reached.opened;
      stop.abort();
      await meshErrorOf(call, 'PEER_UNAVAILABLE');
      await aborted(handlerSignal);
    });

    it('that was aborted before it began is not sent', async () => {
      const { channel } = await serve({});
      const call = channel.unary(ask, note(''), { signal: AbortSignal.abort() });
      await meshErrorOf(call, 'PEER_UNAVAILABLE');
    });

    it('to a port where nobody listens names the address', async () => {
      const { channel, address, stop } = await serve({});
      await stop();
      const error = await meshErrorOf(channel.unary(ask, note('')), 'PEER_UNAVAILABLE');
      expect(error.message).to.include(`127.0.0.1:${address.port}`);
    });
  });

  describe('a message', () => {
    const overhead = JSON.stringify(note('')).length;

    it('of the largest size passes both ways', async () => {
      const { channel } = await serve({ ask: request => Promise.resolve(request) });
      const largest = note('x'.repeat(RPC_MESSAGE_BYTES_MAX - overhead));
      expect(await channel.unary(ask, largest)).to.deep.equal(largest);
    });

    it('larger than that is refused when asked and when answered, and others go on', async () => {
      const tooLarge = note('x'.repeat(RPC_MESSAGE_BYTES_MAX - overhead + 1));
      const { channel } = await serve({
        ask: async ({ text }) => (text === 'big' ? tooLarge : note('')),
      });
      await meshErrorOf(channel.unary(ask, tooLarge), 'LIMIT_EXCEEDED');
      await meshErrorOf(channel.unary(ask, note('big')), 'LIMIT_EXCEEDED');
      expect(await channel.unary(ask, note('small'))).to.deep.equal(note(''));
    });
  });
});

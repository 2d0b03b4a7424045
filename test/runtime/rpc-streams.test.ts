import { expect } from 'chai';
import { describe, it } from 'mocha';
import { MeshError } from '../../src/mesh/errors.ts';
import { aborted } from '../../src/runtime/supervise.ts';
import { Gate } from './gate.ts';
import { meshErrorOf } from './rejection.ts';
import { type Note, Notes, type NotesHandlers, useNotes } from './rpc-fixture.ts';

const { ask, tail, chat } = Notes.methods;
const note = (text: string): Note => ({ text });

describe('gRPC streams', () => {
  const serve = useNotes();

  describe('a server stream', () => {
    it('gives what the handler yields, in order, and ends with it', async () => {
      const { channel } = await serve({
        tail: async function* ({ text }) {
          for (let i = 0; i < 100; i++) yield note(`${text}${i}`);
        },
      });
      const texts: string[] = [];
      const signal = new AbortController().signal;
      for await (const { text } of channel.serverStream(tail, note('n'), signal)) texts.push(text);
      expect(texts).to.deep.equal(Array.from({ length: 100 }, (_, i) => `n${i}`));
    });

    it('gives what came before a refusal, then the refusal', async () => {
      const { channel } = await serve({
        tail: async function* () {
          yield note('one');
          throw new MeshError('REVISION_COMPACTED', 'gone');
        },
      });
      const stream = channel.serverStream(tail, note(''), new AbortController().signal);
      const iterator = stream[Symbol.asyncIterator]();
      expect((await iterator.next()).value).to.deep.equal(note('one'));
      await meshErrorOf(iterator.next(), 'REVISION_COMPACTED');
    });

    it('that fails before it is read keeps its error for the reader', async () => {
      const { channel } = await serve({
        tail: async function* () {
          throw new MeshError('PERMISSION_DENIED', 'no');
        },
        ask: async () => note('still here'),
      });
      const stream = channel.serverStream(tail, note(''), new AbortController().signal);
      // Answered on the same connection after the refusal, so the refusal has arrived too.
      expect(await channel.unary(ask, note(''))).to.deep.equal(note('still here'));
      await meshErrorOf(stream[Symbol.asyncIterator]().next(), 'PERMISSION_DENIED');
    });

    it('ends quietly when aborted, and aborts its handler', async () => {
      const handlerDone = new Gate();
      const { channel } = await serve({
        tail: async function* (_request, { signal }) {
          yield note('one');
          await aborted(signal);
          handlerDone.open();
        },
      });
      const stop = new AbortController();
      const texts: string[] = [];
      for await (const { text } of channel.serverStream(tail, note(''), stop.signal)) {
        texts.push(text);
        stop.abort();
      }
      expect(texts).to.deep.equal(['one']);
      await handlerDone.opened;
    });

    it('that its reader leaves aborts its handler', async () => {
      const handlerDone = new Gate();
      const { channel } = await serve({
        tail: async function* (_request, { signal }) {
          yield note('one');
          await aborted(signal);
          handlerDone.open();
        },
      });
      const signal = new AbortController().signal;
      const iterator = channel.serverStream(tail, note(''), signal)[Symbol.asyncIterator]();
      await iterator.next();
      await iterator.return?.();
      await handlerDone.opened;
    });

    it('yields no faster than its reader reads', async () => {
      let yielded = 0;
      const large = note('x'.repeat(100_000));
      const { channel } = await serve({
        tail: async function* () {
          for (; yielded < 1000; yielded++) yield large;
        },
        ask: request => Promise.resolve(request),
      });
      const signal = new AbortController().signal;
      const iterator = channel.serverStream(tail, note(''), signal)[Symbol.asyncIterator]();
      await iterator.next();
      // 100 MB would have to sit in buffers for the handler to be done; it stops when it stands still.
      for (let last = -1; last !== yielded; ) {
        last = yielded;
        await channel.unary(ask, note(''));
      }
      expect(yielded).to.be.below(500);
      let read = 1;
      while ((await iterator.next()).done !== true) read++;
      expect(read).to.equal(1000);
    });

    it('to a peer that vanishes fails with PEER_UNAVAILABLE', async () => {
      const { channel, sockets } = await serve({
        tail: async function* (_request, { signal }) {
          yield note('one');
          await aborted(signal);
        },
      });
      const stream = channel.serverStream(tail, note(''), new AbortController().signal);
      const iterator = stream[Symbol.asyncIterator]();
      await iterator.next();
      sockets[0]!.destroy();
      await meshErrorOf(iterator.next(), 'PEER_UNAVAILABLE');
    });
  });

  describe('a duplex stream', () => {
    const echo: Partial<NotesHandlers> = {
      chat: async function* (requests) {
        for await (const { text } of requests) {
          if (text === 'bye') return;
          if (text === 'bad') throw new MeshError('REQUEST_INVALID', 'bad is not allowed');
          yield note(text.toUpperCase());
        }
      },
    };

    it('carries messages both ways as they come', async () => {
      const { channel } = await serve(echo);
      const { send, messages } = channel.duplex(chat, new AbortController().signal);
      const iterator = messages[Symbol.asyncIterator]();
      for (const text of ['a', 'b', 'c']) {
        send(note(text));
        expect((await iterator.next()).value).to.deep.equal(note(text.toUpperCase()));
      }
    });

    it('ends for the client when the handler returns in the middle of reading', async () => {
      const { channel } = await serve(echo);
      const { send, messages } = channel.duplex(chat, new AbortController().signal);
      send(note('bye'));
      expect(await messages[Symbol.asyncIterator]().next()).to.deep.include({ done: true });
    });

    it('gives the client the code of a handler that throws in the middle of reading', async () => {
      const { channel } = await serve(echo);
      const { send, messages } = channel.duplex(chat, new AbortController().signal);
      send(note('bad'));
      await meshErrorOf(messages[Symbol.asyncIterator]().next(), 'REQUEST_INVALID');
    });

    it('ends quietly when aborted, and so do the requests at the handler', async () => {
      const handlerDone = new Gate<unknown>();
      const { channel } = await serve({
        chat: async function* (requests) {
          try {
            for await (const request of requests) yield request;
          } catch (error) {
            handlerDone.open(error);
          }
          handlerDone.open(undefined);
        },
      });
      const stop = new AbortController();
      const { send, messages } = channel.duplex(chat, stop.signal);
      send(note('a'));
      const iterator = messages[Symbol.asyncIterator]();
      await iterator.next();
      stop.abort();
      expect(await iterator.next()).to.deep.include({ done: true });
      await handlerDone.opened;
    });
  });
});

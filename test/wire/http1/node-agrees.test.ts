/**
 * Another parser of HTTP/1.1, node:http's, must find in what we accept and in what we write on the
 * same requests that we found.
 */

import { createServer, METHODS, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ChunkedReader, chunkHead, lastChunk } from '../../../src/wire/http1/chunked.ts';
import { writeRequestHead } from '../../../src/wire/http1/write-head.ts';
import { mutated, seeds } from './corpus.ts';
import { bytesOf, type ReadRequest, readConnection } from './messages.ts';

interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

/** Event-loop turns that node:http gets for its answers; what it parses, it parses at once. */
const TURNS_MAX = 200;

/** The whole requests that a node:http server finds in these bytes. */
async function seenByNode(text: string, expected: number): Promise<readonly SeenRequest[]> {
  const seen: SeenRequest[] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => undefined);
    request.on('end', () => {
      const { method = '', url = '' } = request;
      seen.push({ method, url, body: Buffer.concat(parts).toString('latin1') });
      response.end();
    });
  });
  const connection = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => done(),
  });
  connection.on('error', () => undefined);
  server.on('clientError', () => connection.destroy());
  server.emit('connection', connection);
  connection.push(bytesOf(text));
  for (let turn = 0; turn < TURNS_MAX && seen.length < expected; turn++) await nextTurn();
  // One request more than expected would have been parsed by now, and is read in a few turns.
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  connection.destroy();
  server.close();
  return seen;
}

function writtenOn({ head, content, reader }: ReadRequest): string {
  const text = writeRequestHead(head);
  if (!(reader instanceof ChunkedReader)) return text + content;
  const chunk = content === '' ? '' : `${chunkHead(content.length)}${content}\r\n`;
  return text + chunk + lastChunk(reader.trailers);
}

function known({ head }: ReadRequest): boolean {
  return METHODS.includes(head.method);
}

function asSeen({ head, content }: ReadRequest): SeenRequest {
  return { method: head.method, url: head.target.path, body: content };
}

describe('node:http', () => {
  const legal = seeds('requests', 'legal');

  it('finds in the legal seeds the requests that we find', async () => {
    for (const { name, text } of legal) {
      const { requests, read } = readConnection(text);
      const theirs = await seenByNode(read, requests.length);
      expect(theirs.length, name).to.equal(requests.length);
    }
  });

  it('finds in any connection that we accept the requests that we find', async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(mutated(legal), async text => {
        const { requests, read } = readConnection(text);
        // Extensions are read past here; node:http refuses what is not well-formed in them.
        if (requests.length === 0 || !requests.every(known) || read.includes(';')) return;
        accepted++;
        const theirs = await seenByNode(read, requests.length);
        expect(theirs.map(({ method, body }) => ({ method, body }))).to.deep.equal(
          requests.map(asSeen).map(({ method, body }) => ({ method, body })),
        );
        for (const [i, { head }] of requests.entries()) {
          if (head.target.form !== 'absolute') expect(theirs[i]?.url).to.equal(head.target.path);
        }
      }),
      { numRuns: 1000 },
    );

    expect(accepted, 'the mutations leave something to compare').to.be.at.least(50);
  });

  it('finds in what we write on exactly the requests that we accepted', async () => {
    let accepted = 0;
    const any = mutated([...legal, ...seeds('requests', 'refused')]);
    await fc.assert(
      fc.asyncProperty(any, async text => {
        const { requests } = readConnection(text);
        if (requests.length === 0 || !requests.every(known)) return;
        accepted++;
        const theirs = await seenByNode(requests.map(writtenOn).join(''), requests.length);
        expect(theirs).to.deep.equal(requests.map(asSeen));
      }),
      { numRuns: 1000 },
    );

    expect(accepted, 'the mutations leave something to compare').to.be.at.least(50);
  });
});

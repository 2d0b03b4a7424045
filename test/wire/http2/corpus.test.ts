/**
 * Recorded and made-up sessions (`test/corpus/http2`): each ends as its file says however it is cut, and
 * with any byte changed it still throws nothing. An input that once broke something is added there.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Endpoint } from './endpoint.ts';

const CORPUS = new URL('../../../../test/corpus/http2/', import.meta.url);

function endpointFor(file: string): Endpoint {
  // `client-…` is what a client sent.
  const end = new Endpoint(file.startsWith('client-') ? 'server' : 'client');
  if (file.startsWith('server-')) {
    end.open();
    end.open();
  }
  end.connection.takeOutput();
  return end;
}

describe('the HTTP/2 corpus', () => {
  for (const file of readdirSync(CORPUS)) {
    const lines = readFileSync(new URL(file, CORPUS), 'utf8').split('\n');
    const comments = lines.filter(line => line.startsWith('#'));
    const title = comments[0]?.slice(2) ?? file;
    const code = /ends: (\d+)/.exec(comments.join('\n'))?.[1];
    const expected = code === undefined ? undefined : Number(code);
    const bytes = Buffer.from(lines.filter(line => !line.startsWith('#')).join(''), 'hex');

    it(`${title}: ${expected === undefined ? 'is served' : `ends with code ${expected}`}`, () => {
      const whole = endpointFor(file);
      whole.receive(bytes);
      expect(whole.failure).to.equal(expected);
      const cut = endpointFor(file);
      for (const byte of bytes) cut.receive(Buffer.of(byte));
      expect([cut.end, cut.events]).to.deep.equal([whole.end, whole.events]);
    });

    it(`${title}: throws nothing with any byte changed`, () => {
      for (let at = 0; at < Math.min(bytes.length, 600); at++) {
        const mutated = Buffer.from(bytes);
        mutated[at] = (mutated[at] ?? 0) ^ (1 << (at % 8));
        const end = endpointFor(file);
        end.receive(mutated);
        end.sent();
      }
    });
  }
});

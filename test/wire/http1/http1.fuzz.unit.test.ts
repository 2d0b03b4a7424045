import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { bodyReader } from '../../../src/wire/http1/body.ts';
import { chunkHead, lastChunk } from '../../../src/wire/http1/chunked.ts';
import { fieldsOf } from '../../../src/wire/http1/fields.ts';
import { CHUNKED, type Framing, NO_BODY } from '../../../src/wire/http1/framing.ts';
import { parseRequestHead, type RequestHead } from '../../../src/wire/http1/request-head.ts';
import { parseResponseHead } from '../../../src/wire/http1/response-head.ts';
import { writeRequestHead, writeResponseHead } from '../../../src/wire/http1/write-head.ts';
import { mutated, seeds, share } from './corpus.ts';
import {
  bytesOf,
  GET,
  parseRequest,
  parseResponse,
  plain,
  readBody,
  requestHead,
} from './messages.ts';

const RUNS = { numRuns: 1000 };
const latin1 = fc
  .uint8Array({ maxLength: 200 })
  .map(bytes => Buffer.from(bytes).toString('latin1'));
const requestText = fc.oneof(
  {
    weight: 5,
    arbitrary: mutated([...seeds('requests', 'legal'), ...seeds('requests', 'refused')]),
  },
  { weight: 1, arbitrary: latin1 },
);
const responseText = fc.oneof(
  {
    weight: 5,
    arbitrary: mutated([...seeds('responses', 'legal'), ...seeds('responses', 'refused')]),
  },
  { weight: 1, arbitrary: latin1 },
);

const fieldName = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/).map(name => `x-${name}`);
const fieldValue = fc
  .stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/)
  .map(value => value.replace(/^[ \t]+|[ \t]+$/g, ''));
const flatFields = fc
  .array(fc.tuple(fieldName, fieldValue), { maxLength: 20 })
  .map(fields => fields.flat());
const anyFraming: fc.Arbitrary<RequestHead['framing']> = fc.oneof(
  fc.constant(NO_BODY),
  fc.constant(CHUNKED),
  fc.maxSafeNat().map(bytes => ({ kind: 'length' as const, bytes })),
);

describe('any bytes as a request', () => {
  it('have one verdict, however they are cut and whatever lies around them', () => {
    fc.assert(
      fc.property(requestText, share, (text, cutAt) => {
        const whole = parseRequest(text);
        const around = bytesOf(`\r\n\r\n${text}\r\n\r\n`);
        const start = 4;
        const end = start + text.length;
        const cut = start + Math.floor(cutAt * text.length);
        const first = parseRequestHead(around, start, cut);
        const scanned = first.kind === 'incomplete' ? first.scanned : start;
        const rest = parseRequestHead(around, start, end, scanned);
        // In pieces, what is wrong may show only when the head ends.
        const late = rest.kind === 'incomplete' && whole.kind === 'refused';
        const second = late ? parseRequestHead(around, start, around.length, end) : rest;
        expect(shifted(plain(second), start)).to.deep.equal(plain(whole));
        if (first.kind !== 'incomplete') expect(plain(first)).to.deep.equal(plain(second));
      }),
      RUNS,
    );
  });

  it('are written on, if at all, as a head that reads and writes the same', () => {
    fc.assert(
      fc.property(requestText, text => {
        const parsed = parseRequest(text);
        if (parsed.kind !== 'head') return;
        const written = writeRequestHead(parsed.head);
        const again = requestHead(written);
        expect(writeRequestHead(again)).to.equal(written);
        const { method, host, framing, upgrade, expectContinue, fields, target } = parsed.head;
        expect(again).to.deep.include({ method, host, framing, upgrade, expectContinue });
        expect(again.fields.flat()).to.deep.equal(fields.flat());
        expect(again.target.path).to.equal(target.path);
      }),
      RUNS,
    );
  });
});

describe('any bytes as a response', () => {
  it('have one verdict, however they are cut and whatever lies around them', () => {
    fc.assert(
      fc.property(responseText, share, (text, cutAt) => {
        const whole = parseResponse(text);
        const around = bytesOf(`\r\n\r\n${text}\r\n\r\n`);
        const start = 4;
        const end = start + text.length;
        const cut = start + Math.floor(cutAt * text.length);
        const first = parseResponseHead(around, start, cut, GET);
        const scanned = first.kind === 'incomplete' ? first.scanned : start;
        const rest = parseResponseHead(around, start, end, GET, scanned);
        // In pieces, what is wrong may show only when the head ends.
        const late = rest.kind === 'incomplete' && whole.kind === 'refused';
        const second = late ? parseResponseHead(around, start, around.length, GET, end) : rest;
        expect(shifted(plain(second), start)).to.deep.equal(plain(whole));
        if (first.kind !== 'incomplete') expect(plain(first)).to.deep.equal(plain(second));
      }),
      RUNS,
    );
  });

  it('are written on, if at all, as a head that reads and writes the same', () => {
    fc.assert(
      fc.property(responseText, text => {
        const parsed = parseResponse(text);
        if (parsed.kind !== 'head') return;
        const written = writeResponseHead(parsed.head);
        const again = parseResponse(written);
        expect(again).to.include({ kind: 'head', next: written.length });
        if (again.kind !== 'head') return;
        expect(writeResponseHead(again.head)).to.equal(written);
        expect(again.head.framing).to.deep.equal(parsed.head.framing);
      }),
      RUNS,
    );
  });
});

describe('any bytes as a chunked body', () => {
  const body = mutated([
    { name: 'chunks', text: '5\r\nhello\r\nA;x=1\r\n0123456789\r\n0\r\nX: 1\r\n\r\nGET' },
  ]);

  it('have one verdict, however they are cut', () => {
    fc.assert(
      fc.property(fc.oneof(body, latin1), fc.array(share, { maxLength: 4 }), (text, shares) => {
        const cuts = [0, ...shares.map(at => Math.floor(at * text.length)), text.length];
        cuts.sort((a, b) => a - b);
        const pieces = cuts.slice(1).map((cut, i) => text.slice(cuts[i], cut));
        const whole = readBody(bodyReader(CHUNKED), [text]);
        expect(readBody(bodyReader(CHUNKED), pieces)).to.deep.equal(whole);
      }),
      RUNS,
    );
  });

  it('that were written as chunks read the same', () => {
    fc.assert(
      fc.property(fc.array(latin1), flatFields, (contents, fields) => {
        const chunks = contents.filter(content => content !== '');
        const written = chunks
          .map(content => `${chunkHead(content.length)}${content}\r\n`)
          .join('');
        const read = readBody(bodyReader(CHUNKED), [written + lastChunk(fieldsOf(fields))]);
        expect(read).to.deep.equal({ end: 'done', content: chunks.join(''), left: '' });
      }),
      { numRuns: 300 },
    );
  });
});

describe('any head', () => {
  it('of a request reads as it was written', () => {
    const head = fc.record({
      method: fc.stringMatching(/^[A-Z][A-Z-]{0,10}$/).filter(method => method !== 'CONNECT'),
      path: fc.stringMatching(/^\/(?:[A-Za-z0-9!$&'()*+,;=:@._~|[\]"-]|%[2-7][0-9A-Fa-f]){0,40}$/),
      host: fc.stringMatching(/^[a-z0-9]{1,10}(?:\.[a-z0-9]{1,10}){0,3}(?::[1-7][0-9]{3})?$/),
      fields: flatFields,
      framing: anyFraming,
      upgrade: fc.option(fc.constant('websocket'), { nil: undefined }),
      expectContinue: fc.boolean(),
    });
    fc.assert(
      fc.property(head, ({ path, fields, ...rest }) => {
        const body: Framing['kind'] = rest.framing.kind;
        const written: RequestHead = {
          ...rest,
          target: { form: 'origin', path, authority: undefined },
          fields: fieldsOf(fields),
          minorVersion: 1,
          keepAlive: true,
          upgrade: body === 'none' ? rest.upgrade : undefined,
          expectContinue: body !== 'none' && rest.expectContinue,
        };
        const text = writeRequestHead(written);
        expect(plain(parseRequest(text))).to.deep.equal(
          plain({ kind: 'head', head: written, next: text.length }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('of a response reads as it was written', () => {
    const head = fc.record({
      status: fc.integer({ min: 200, max: 599 }).filter(status => status !== 204 && status !== 304),
      reason: fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,30}$/),
      fields: flatFields,
      framing: fc
        .oneof(anyFraming, fc.constant({ kind: 'until-close' as const }))
        .filter(({ kind }) => kind !== 'none'),
    });
    fc.assert(
      fc.property(head, parts => {
        const written = {
          ...parts,
          fields: fieldsOf(parts.fields),
          minorVersion: 1 as const,
          declaredBytes: undefined,
          keepAlive: parts.framing.kind !== 'until-close',
          upgrade: undefined,
        };
        const text = writeResponseHead(written);
        expect(plain(parseResponse(text))).to.deep.equal(
          plain({ kind: 'head', head: written, next: text.length }),
        );
      }),
      { numRuns: 500 },
    );
  });
});

/** The same answer for bytes that began this much earlier. */
function shifted(parsed: unknown, by: number): unknown {
  const answer = parsed as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(answer).map(([key, value]) => [
      key,
      typeof value === 'number' && key !== 'status' ? value - by : value,
    ]),
  );
}

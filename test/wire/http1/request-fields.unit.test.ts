import { describe } from 'mocha';
import {
  get,
  getOfBytes,
  LARGE,
  MANY,
  manyFields,
  message,
  post,
  type RefusedRequest,
  refuseEach,
} from './messages.ts';

const encoding = (...values: string[]): string =>
  post(...values.map(value => `Transfer-Encoding:${value}`));
const length = (...values: string[]): string =>
  post(...values.map(value => `Content-Length:${value}`));
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];

const framing: readonly RefusedRequest[] = [
  ...[
    post('Content-Length: 1', 'Transfer-Encoding: chunked'),
    post('Transfer-Encoding: chunked', 'Content-Length: 1'),
  ].map((refused, i) => ({
    what: `both framings, ${i === 0 ? 'length' : 'encoding'} first`,
    refused,
    reason: 'length-and-encoding' as const,
    twin: length(' 1'),
  })),
  ...[
    ' xchunked',
    ' chunkedx',
    ' Chunked',
    ' CHUNKED',
    ' chunked, identity',
    ' identity, chunked',
    ' identity',
    ' gzip, chunked',
    ' chunked,',
    ' ,chunked',
    ' chunked;q=1',
    ' "chunked"',
    ' chunked\xa0',
    '\tchunked',
    ' chunked\t',
    '',
  ].map(value => ({
    what: `Transfer-Encoding:${JSON.stringify(value)}`,
    refused: encoding(value),
    reason: 'bad-transfer-encoding' as const,
    twin: encoding(' chunked'),
  })),
  {
    what: 'Transfer-Encoding twice',
    refused: encoding(' chunked', ' chunked'),
    reason: 'bad-transfer-encoding',
    twin: encoding('  chunked  '),
  },
  {
    what: 'Transfer-Encoding in HTTP/1.0',
    refused: message('POST / HTTP/1.0', 'Host: a', 'Transfer-Encoding: chunked'),
    reason: 'bad-transfer-encoding',
    twin: message('POST / HTTP/1.0', 'Host: a', 'Content-Length: 1'),
  },
  ...[
    '',
    ' ',
    ' +1',
    ' -1',
    ' 01',
    ' 00',
    ' 1,1',
    ' 1, 1',
    ' 1 1',
    ' 0x1',
    ' 1.0',
    ' 1e3',
    ' 9007199254740992',
    ' 18446744073709551616',
    ' \xb9',
    '\t1',
    ' 1\t',
  ].map(value => ({
    what: `Content-Length:${JSON.stringify(value)}`,
    refused: length(value),
    reason: 'bad-content-length' as const,
    twin: length(' 9007199254740991'),
  })),
  {
    what: 'two equal lengths',
    refused: length(' 1', ' 1'),
    reason: 'bad-content-length',
    twin: length(' 0'),
  },
  {
    what: 'two lengths that differ in the case of the name',
    refused: post('Content-Length: 1', 'content-length: 2'),
    reason: 'bad-content-length',
    twin: post('cONTENT-lENGTH: 1'),
  },
];

const lines: readonly RefusedRequest[] = [
  {
    what: 'a bare LF behind the request line',
    refused: 'GET / HTTP/1.1\nHost: a\r\n\r\n',
    reason: 'bad-line-ending',
    twin: get(),
  },
  {
    what: 'a bare LF behind a field',
    refused: 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n',
    reason: 'bad-line-ending',
    twin: get('X: b'),
  },
  {
    what: 'a bare LF for the empty line',
    refused: 'GET / HTTP/1.1\r\nHost: a\r\n\n',
    reason: 'bad-line-ending',
    twin: get(),
  },
  {
    what: 'a bare CR in a value',
    refused: get('X: a\rb'),
    reason: 'bad-line-ending',
    twin: get('X: a b'),
  },
  {
    what: '\\r\\rX for the empty line',
    refused: 'GET / HTTP/1.1\r\nHost: a\r\n\r\rX: b\r\n\r\n',
    reason: 'bad-line-ending',
    twin: get('X: b'),
  },
  {
    what: 'a CR behind a name',
    refused: get('X\r: a'),
    reason: 'bad-field-name',
    twin: get('X: a'),
  },
  {
    what: 'a folded value',
    refused: get('X: a', ' b'),
    reason: 'obs-fold',
    twin: get('X: a b'),
  },
  {
    what: 'a value folded with a tab',
    refused: get('X: a', '\tb'),
    reason: 'obs-fold',
    twin: get('X: a\tb'),
  },
  {
    what: 'white space before the first field',
    refused: message('GET / HTTP/1.1', ' Host: a'),
    reason: 'obs-fold',
    twin: get(),
  },
  ...['', 'X ', 'X\t', 'X y', 'X\x00', 'X\x7f', 'X\xe9', '(X)', 'X@', '"X"', 'X/'].map(name => ({
    what: `the field name ${JSON.stringify(name)}`,
    refused: get(`${name}: v`),
    reason: 'bad-field-name' as const,
    twin: get("X!#$%&'*+-.^_`|~9: v"),
  })),
  {
    what: 'a line without a colon',
    refused: get('X'),
    reason: 'bad-field-name',
    twin: get('X:'),
  },
  ...['\x00', '\x01', '\x08', '\x0b', '\x0c', '\x1b', '\x1f', '\x7f'].map(byte => ({
    what: `the byte ${JSON.stringify(byte)} in a value`,
    refused: get(`X: a${byte}b`),
    reason: 'bad-field-value' as const,
    twin: get('X: a\tb ~ \x80\xff'),
  })),
];

const limits: readonly RefusedRequest[] = [
  {
    what: 'one field too many, which frames the body',
    refused: post(...manyFields(MANY - 1), 'Content-Length: 1'),
    reason: 'too-many-fields',
    status: 431,
    twin: post(...manyFields(MANY - 2), 'Content-Length: 1'),
  },
  {
    what: 'a head of one byte too many',
    refused: getOfBytes(LARGE + 1),
    reason: 'head-too-large',
    status: 431,
    twin: getOfBytes(LARGE),
  },
  {
    what: 'an upgrade with a length',
    refused: post(...UPGRADE, 'Content-Length: 1'),
    reason: 'upgrade-with-body',
    twin: post(...UPGRADE, 'Content-Length: 0'),
  },
  {
    what: 'an upgrade with a chunked body',
    refused: post(...UPGRADE, 'Transfer-Encoding: chunked'),
    reason: 'upgrade-with-body',
    twin: get(...UPGRADE),
  },
  {
    what: 'an unknown expectation',
    refused: post('Content-Length: 1', 'Expect: 200-ok'),
    reason: 'bad-expect',
    twin: post('Content-Length: 1', 'Expect: 100-Continue'),
  },
  {
    what: 'two expectations',
    refused: post('Content-Length: 1', 'Expect: 100-continue', 'Expect: 100-continue'),
    reason: 'bad-expect',
    twin: post('Content-Length: 1', 'Expect: 100-continue'),
  },
  ...['a b', 'close;', '\xa0close', '"close"', 'close,\xe9'].map(value => ({
    what: `Connection: ${JSON.stringify(value)}`,
    refused: get(`Connection: ${value}`),
    reason: 'bad-connection' as const,
    twin: get('Connection: ,\tclose ,, x-a,'),
  })),
];

describe('the fields of a request', () => {
  refuseEach([...framing, ...lines, ...limits]);
});

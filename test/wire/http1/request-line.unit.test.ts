import { describe } from 'mocha';
import { TARGET_BYTES_MAX } from '../../../src/wire/http1/limits.ts';
import { get, message, type RefusedRequest, refuseEach } from './messages.ts';

const line = (requestLine: string): string => message(requestLine, 'Host: a');
const target = (text: string): string => line(`GET ${text} HTTP/1.1`);
const host = (...values: string[]): string =>
  message('GET / HTTP/1.1', ...values.map(value => `Host: ${value}`));

const targets: readonly RefusedRequest[] = [
  ...[
    '',
    'path',
    '/a#b',
    '/#',
    '/?a#b',
    '/a\\b',
    '\\',
    '/caf\xe9',
    '/?\x80',
    '/\x00',
    '/\x7f',
    '/\t',
    '/a%00b',
    '/%00',
    '/%',
    '/%4',
    '/%4g',
    '/%g4',
    '/%%20',
    '/?a=%zz',
    '*',
    '*/',
    '?a',
    'https://a/',
    'ftp://a/',
    'a:80',
    'http:/a',
  ].map(text => ({
    what: `the target ${JSON.stringify(text)}`,
    refused: target(text),
    reason: 'bad-target' as const,
    twin: target('/a//%2e%41?b=%00|[]"^`{}&c=?/*'),
  })),
  {
    what: `a target over ${TARGET_BYTES_MAX} bytes`,
    refused: target(`/${'a'.repeat(TARGET_BYTES_MAX)}`),
    reason: 'target-too-large',
    status: 414,
    twin: target(`/${'a'.repeat(TARGET_BYTES_MAX - 1)}`),
  },
  {
    what: 'a target that an escape takes over the limit',
    refused: target(`/${'a'.repeat(TARGET_BYTES_MAX - 2)}%41`),
    reason: 'target-too-large',
    status: 414,
    twin: target(`/${'a'.repeat(TARGET_BYTES_MAX - 4)}%41`),
  },
  {
    what: 'an absolute form for another host',
    refused: message('GET http://b/ HTTP/1.1', 'Host: a'),
    reason: 'host-mismatch',
    twin: message('GET HTTP://A:80/ HTTP/1.1', 'Host: a'),
  },
  {
    what: 'an absolute form for another port',
    refused: message('GET http://a:81/ HTTP/1.1', 'Host: a'),
    reason: 'host-mismatch',
    twin: message('GET http://a:81/ HTTP/1.1', 'Host: a:81'),
  },
  {
    what: 'an absolute form with user information',
    refused: message('GET http://a@a/ HTTP/1.1', 'Host: a'),
    reason: 'host-mismatch',
    twin: message('GET http://a/@a HTTP/1.1', 'Host: a'),
  },
  {
    what: 'an absolute form in HTTP/1.1 without Host',
    refused: message('GET http://a/ HTTP/1.1'),
    reason: 'host-missing',
    twin: message('GET http://a/ HTTP/1.0'),
  },
];

const hosts: readonly RefusedRequest[] = [
  {
    what: 'no Host',
    refused: message('GET / HTTP/1.1', 'X: a'),
    reason: 'host-missing',
    twin: host('a'),
  },
  {
    what: 'no Host in HTTP/1.0',
    refused: message('GET / HTTP/1.0'),
    reason: 'host-missing',
    twin: message('GET / HTTP/1.0', 'Host: a'),
  },
  {
    what: 'two Hosts',
    refused: host('a', 'a'),
    reason: 'duplicate-host',
    twin: host('a'),
  },
  ...[
    '',
    '.',
    'a..b',
    '.a',
    'a..',
    'u@a',
    'u:p@a',
    'a:',
    'a:0',
    'a:080',
    'a:65536',
    'a:99999',
    'a:-1',
    'a:80:80',
    'a b',
    'a,b',
    'a/b',
    'a?b',
    'a%41',
    'caf\xe9',
    '\xff',
    '[::1',
    '::1',
    '[a]:x',
    '[]',
    'a'.repeat(300),
  ].map(value => ({
    what: `the host ${JSON.stringify(value.slice(0, 20))}`,
    refused: host(value),
    reason: 'bad-host' as const,
    twin: host('[::1]:65535'),
  })),
];

const others: readonly RefusedRequest[] = [
  {
    what: 'CONNECT',
    refused: message('CONNECT a:443 HTTP/1.1', 'Host: a:443'),
    reason: 'connect',
    status: 501,
    twin: line('OPTIONS * HTTP/1.1'),
  },
  ...['get', 'Get', 'G3T', 'GET_', 'A'.repeat(25)].map(method => ({
    what: `the method ${method}`,
    refused: line(`${method} / HTTP/1.1`),
    reason: 'bad-method' as const,
    status: 501,
    twin: line('VERSION-CONTROL / HTTP/1.1'),
  })),
  ...[
    'GET\t/ HTTP/1.1',
    ' GET / HTTP/1.1',
    'GET /  HTTP/1.1',
    'GET / HTTP/1.1 ',
    'GET / HTTP/1.10',
    'GET / http/1.1',
    'GET / HTTP/1',
    'GET / HTTP/x.1',
    'GET / ICE/1.0',
    'G@T / HTTP/1.1',
    '\x16\x03\x01\x02',
  ].map(requestLine => ({
    what: `the request line ${JSON.stringify(requestLine)}`,
    refused: line(requestLine),
    reason: 'bad-request-line' as const,
    twin: line('GET / HTTP/1.1'),
  })),
  {
    what: 'a space in the target',
    refused: target('/a b'),
    reason: 'bad-request-line',
    twin: target('/a%20b'),
  },
  {
    what: 'two spaces before the target',
    refused: target(' /'),
    reason: 'bad-target',
    twin: target('/'),
  },
  {
    what: 'a request line of HTTP/0.9',
    refused: 'GET /\r\n',
    reason: 'bad-target',
    twin: line('GET / HTTP/1.0'),
  },
  ...['GET / HTTP/2.0', 'GET / HTTP/1.2', 'GET / HTTP/0.9', 'PRI * HTTP/2.0'].map(requestLine => ({
    what: requestLine,
    refused: message(requestLine, '', 'SM'),
    reason: 'bad-version' as const,
    status: 505,
    twin: line('GET / HTTP/1.0'),
  })),
  {
    what: 'two empty lines before the request',
    refused: `\r\n\r\n${get()}`,
    reason: 'bad-request-line',
    twin: `\r\n${get()}`,
  },
  {
    what: 'a bare LF before the request',
    refused: `\n${get()}`,
    reason: 'bad-request-line',
    twin: `\r\n${get()}`,
  },
];

describe('the request line and Host', () => {
  refuseEach([...targets, ...hosts, ...others]);
});

import { expect } from 'chai';
import fc from 'fast-check';
import {
  checkRequestHead,
  nextHopFields,
  type RawRequestHead,
} from '../../src/sidecar/http/request-head.ts';

function raw(fields: Partial<RawRequestHead> & { headers?: string } = {}): RawRequestHead {
  const { headers = 'Host|a.example', ...rest } = fields;
  return {
    method: 'GET',
    target: '/',
    httpVersion: '1.1',
    rawHeaders: headers === '' ? [] : headers.split('|'),
    ...rest,
  };
}

describe('the head of a request', () => {
  const accepted: readonly [string, RawRequestHead, string][] = [
    ['plain', raw(), 'a.example /'],
    ['with a port', raw({ headers: 'Host|A.example:8080' }), 'a.example:8080 /'],
    ['with a trailing dot', raw({ headers: 'Host|a.example.:80' }), 'a.example:80 /'],
    ['with an IPv6 host', raw({ headers: 'Host|[::1]:80' }), '[::1]:80 /'],
    ['in absolute form', raw({ target: 'http://b.example:81/x?y' }), 'b.example:81 /x?y'],
    ['in absolute form without Host', raw({ target: 'HTTP://b/', headers: '' }), 'b /'],
    ['in absolute form without a path', raw({ target: 'http://b' }), 'b /'],
    ['in absolute form with only a query', raw({ target: 'http://b?q' }), 'b /?q'],
    ['for everything', raw({ method: 'OPTIONS', target: '*' }), 'a.example *'],
    ['with an encoded path', raw({ target: '/%2e%2e/{a}|b' }), 'a.example /%2e%2e/{a}|b'],
  ];
  for (const [title, head, expected] of accepted) {
    it(`${title} is accepted`, () => {
      const checked = checkRequestHead(head);
      if (checked.kind !== 'ok') throw new Error(checked.why);
      expect(`${checked.head.authority} ${checked.head.target}`).to.equal(expected);
    });
  }

  const refused: readonly [string, RawRequestHead][] = [
    ['without Host', raw({ headers: '' })],
    ['with an empty Host', raw({ headers: 'Host|' })],
    ['with two Hosts', raw({ headers: 'Host|a|host|a' })],
    ['with a bad Host beside an absolute form', raw({ target: 'http://b/', headers: 'Host|a b' })],
    ['with user info in Host', raw({ headers: 'Host|u@a' })],
    ['with a path in Host', raw({ headers: 'Host|a/b' })],
    ['with port 0', raw({ headers: 'Host|a:0' })],
    ['with port 65536', raw({ headers: 'Host|a:65536' })],
    ['with an empty port', raw({ headers: 'Host|a:' })],
    ['with user info in an absolute form', raw({ target: 'http://u@b/' })],
    ['in absolute form of another scheme', raw({ target: 'https://b/' })],
    ['with a fragment', raw({ target: '/a#b' })],
    ['with a backslash', raw({ target: '/a\\b' })],
    ['with a byte above ASCII in the target', raw({ target: '/\u00e9' })],
    ['with no path', raw({ target: 'a' })],
    ['with "*" and GET', raw({ target: '*' })],
    ['with two lengths', raw({ headers: 'Host|a|Content-Length|1|Content-Length|1' })],
    ['with a signed length', raw({ headers: 'Host|a|Content-Length|+1' })],
    ['with a list of lengths', raw({ headers: 'Host|a|Content-Length|1,1' })],
    ['with a leading zero in its length', raw({ headers: 'Host|a|Content-Length|01' })],
    ['with an empty length', raw({ headers: 'Host|a|Content-Length|' })],
    ['with a length of 2^64', raw({ headers: 'Host|a|Content-Length|18446744073709551616' })],
    ['with identity, chunked', raw({ headers: 'Host|a|Transfer-Encoding|identity, chunked' })],
    [
      'with two encodings',
      raw({ headers: 'Host|a|Transfer-Encoding|chunked|Transfer-Encoding|chunked' }),
    ],
    ['with xchunked', raw({ headers: 'Host|a|Transfer-Encoding|xchunked' })],
    [
      'with a length and an encoding',
      raw({ headers: 'Host|a|Content-Length|1|Transfer-Encoding|chunked' }),
    ],
    [
      'with an encoding in HTTP/1.0',
      raw({ httpVersion: '1.0', headers: 'Host|a|Transfer-Encoding|chunked' }),
    ],
    [
      'with an upgrade and a length',
      raw({ headers: 'Host|a|Connection|upgrade|Upgrade|x|Content-Length|1' }),
    ],
    [
      'with an upgrade and an encoding',
      raw({ headers: 'Host|a|Connection|upgrade|Upgrade|h2c|Transfer-Encoding|chunked' }),
    ],
  ];
  for (const [title, head] of refused) {
    it(`${title} is refused`, () => {
      expect(checkRequestHead(head)).to.include({ kind: 'refused', code: 'bad-request' });
    });
  }

  it('with more than 100 fields is refused, with 100 accepted', () => {
    const fields = (count: number): string[] =>
      Array.from({ length: count - 1 }, () => ['A', 'b']).flat();
    const check = (count: number) =>
      checkRequestHead(raw({ rawHeaders: ['Host', 'a', ...fields(count)] }));
    expect(check(100).kind).to.equal('ok');
    expect(check(101)).to.include({ kind: 'refused', code: 'too-many-fields' });
  });

  function forwarded(head: RawRequestHead): string {
    const checked = checkRequestHead(head);
    if (checked.kind !== 'ok') throw new Error(checked.why);
    return nextHopFields(checked.head, [['x-added', '1']]).join('|');
  }

  for (const [title, head, expected] of [
    [
      'its own fields in order',
      raw({ headers: 'B|1|Host|a|A|2|B|3' }),
      'Host|a|Connection|close|B|1|A|2|B|3|x-added|1',
    ],
    [
      'its length',
      raw({ headers: 'Host|a|Content-Length|5' }),
      'Host|a|Content-Length|5|Connection|close|x-added|1',
    ],
    [
      'its chunked encoding',
      raw({ headers: 'Host|a|Transfer-Encoding|Chunked' }),
      'Host|a|Transfer-Encoding|chunked|Connection|close|x-added|1',
    ],
    [
      'a stated length for a POST without one',
      raw({ method: 'POST' }),
      'Host|a.example|Content-Length|0|Connection|close|x-added|1',
    ],
    [
      'its upgrade',
      raw({ headers: 'Host|a|Connection|Upgrade|Upgrade|websocket' }),
      'Host|a|Connection|Upgrade|Upgrade|websocket|x-added|1',
    ],
    [
      'no offer of h2c',
      raw({ headers: 'Host|a|Connection|Upgrade, HTTP2-Settings|Upgrade|h2c|HTTP2-Settings|x' }),
      'Host|a|Connection|close|x-added|1',
    ],
    [
      'no upgrade that Connection does not name',
      raw({ headers: 'Host|a|Upgrade|websocket' }),
      'Host|a|Connection|close|x-added|1',
    ],
    [
      'nothing that Connection names',
      raw({ headers: 'Host|a|Connection|X-A, host|x-a|1|X-B|2' }),
      'Host|a|Connection|close|X-B|2|x-added|1',
    ],
    [
      'nothing that speaks for the mesh',
      raw({ headers: 'Host|a|X-Forwarded-Client-Cert|x|X-Isthmus-Error|y|x-isthmusx|z' }),
      'Host|a|Connection|close|x-isthmusx|z|x-added|1',
    ],
    [
      'a field called __proto__ like any other',
      raw({ headers: 'Host|a|__proto__|1' }),
      'Host|a|Connection|close|__proto__|1|x-added|1',
    ],
  ] as const) {
    it(`goes to the next hop with ${title}`, () => {
      expect(forwarded(head)).to.equal(expected);
    });
  }

  it('never gets a line break or a second Host into the next hop, whatever is in the target', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 60 }), text => {
        const checked = checkRequestHead(raw({ target: `/${text}` }));
        if (checked.kind === 'ok') expect(checked.head.target).to.match(/^\/[!-~]*$/);
      }),
      { numRuns: 1000 },
    );
  });
});

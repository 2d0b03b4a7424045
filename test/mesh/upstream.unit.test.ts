import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseUpstreamName, upstreamName } from '../../src/mesh/upstream.ts';

describe('the name of an upstream', () => {
  const host = 'payments.shop.svc.clusterset.local';

  it('is Istio’s outbound form and reads back', () => {
    expect(upstreamName(host, 8080)).to.equal(`outbound|8080||${host}`);
    expect(parseUpstreamName(upstreamName(host, 8080))).to.deep.equal({ host, port: 8080 });
    expect(parseUpstreamName(upstreamName(host, 65535))).to.deep.equal({ host, port: 65535 });
  });

  const foreign = [
    '',
    host,
    `inbound|80||${host}`,
    `outbound|0||${host}`,
    `outbound|080||${host}`,
    `outbound|65536||${host}`,
    `outbound|80|v1|${host}`,
    'outbound|80||',
    `outbound|80||${host.toUpperCase()}`,
    `outbound|80||${host}\n`,
    `outbound|80||${'x'.repeat(254)}`,
  ];
  for (const text of foreign) {
    it(`is not ${JSON.stringify(text.slice(0, 60))}`, () => {
      expect(parseUpstreamName(text)).to.equal(undefined);
    });
  }
});

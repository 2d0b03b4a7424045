import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseUpstream } from '../../src/cli/call.ts';
import { formatDuration, table } from '../../src/cli/text.ts';

describe('what the command line prints', () => {
  it('aligns columns and leaves no trailing blanks', () => {
    expect(
      table(
        ['NAME', 'STATE'],
        [
          ['a', 'x'],
          ['longer', ''],
        ],
      ),
    ).to.equal('NAME    STATE\na       x\nlonger');
  });

  it('writes durations as people say them', () => {
    const rows: [number, string][] = [
      [-5, '0ms'],
      [850, '850ms'],
      [34_999, '34s'],
      [312_000, '5m12s'],
      [11_220_000, '3h07m'],
      [187_200_000, '2d4h'],
    ];
    for (const [ms, text] of rows) expect(formatDuration(ms)).to.equal(text);
  });

  it("reads a sidecar's account of the way a request took", () => {
    const header =
      'workload=payments-west-0; path=gateway; peer="spiffe://west.example/ns/shop/sa/payments"; issuer="CN=a; b"; attempts=1';
    expect(parseUpstream(header)).to.deep.equal({
      workload: 'payments-west-0',
      path: 'gateway',
      peer: 'spiffe://west.example/ns/shop/sa/payments',
      issuer: 'CN=a; b',
      attempts: '1',
    });
    expect(parseUpstream(undefined)).to.equal(undefined);
  });
});

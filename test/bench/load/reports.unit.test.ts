import { expect } from 'chai';
import { describe, it } from 'mocha';
import { failureOf } from '../../../bench/load/outcome.ts';
import { parseResponseHead } from '../../../bench/load/response-head.ts';
import { parseWrkReport } from '../../../bench/load/wrk.ts';

function wrkOutput(requests: number, errors: Partial<Record<string, number>> = {}): string {
  const all = { connect: 0, read: 0, write: 0, status: 0, timeout: 0, ...errors };
  return `Running 2s test @ http://127.0.0.1:1/1k
  1 threads and 50 connections
  7000 requests in 2.00s, 8.29MB read
Requests/sec:   3500.00

{"requests":${requests},"durationUs":2000000,"bytes":9000000,"p50Us":500,"p99Us":900,"p999Us":2000,"errors":${JSON.stringify(all)}}
`;
}

describe('parseWrkReport', () => {
  it("finds our line among wrk's own and makes rates of it", () => {
    expect(parseWrkReport(wrkOutput(7000))).to.deep.equal({
      count: 7000,
      figures: { rps: 3500, mbPerSecond: 4.5, p50Us: 500, p99Us: 900, p999Us: 2000 },
      failure: undefined,
    });
  });

  it('fails a run with an error of any kind', () => {
    expect(parseWrkReport(wrkOutput(7000, { status: 3, read: 1 })).failure).to.equal(
      'wrk: 1 read, 3 status',
    );
  });

  it('fails a run that carried nothing', () => {
    expect(parseWrkReport(wrkOutput(0)).failure).to.equal('wrk: nothing was carried');
  });

  it('throws, with what wrk printed, when there is no report', () => {
    expect(() => parseWrkReport('unable to connect to 127.0.0.1:1')).to.throw('unable to connect');
  });
});

describe('failureOf', () => {
  it('is undefined for a run with something carried and no error', () => {
    expect(failureOf('bulk', 1, { closed: 0 })).to.equal(undefined);
  });

  it('names each kind of error and how often it was seen', () => {
    expect(failureOf('bulk', 1, { closed: 2, silent: 0 })).to.equal('bulk: 2 closed');
  });
});

describe('parseResponseHead', () => {
  const head = 'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 1024\r\n\r\n';

  it('reads status and lengths of a whole head, whatever follows', () => {
    const expected = { status: 200, bytes: head.length, bodyBytes: 1024 };
    expect(parseResponseHead(head)).to.deep.equal(expected);
    expect(parseResponseHead(`${head}xxxx`)).to.deep.equal(expected);
  });

  it('is undefined for every prefix of a head', () => {
    for (let length = 0; length < head.length; length++) {
      expect(parseResponseHead(head.slice(0, length))).to.equal(undefined);
    }
  });

  it('throws when the end of the body could not be told', () => {
    expect(() =>
      parseResponseHead('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'),
    ).to.throw('no content-length');
  });
});

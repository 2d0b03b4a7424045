import { expect } from 'chai';
import { describe, it } from 'mocha';
import { cpuPer, parseSmapsRollup, parseStat } from '../../bench/accounting.ts';
import { parseCpuList } from '../../bench/placement.ts';

describe('parseStat', () => {
  it('reads times behind a process name with spaces and parentheses', () => {
    const fields = Array.from({ length: 49 }, () => '0');
    fields.splice(11, 4, '150', '50', '7', '3'); // utime, stime, cutime, cstime (proc(5)).
    expect(parseStat(`42 (a (b) c) S ${fields.slice(1).join(' ')}\n`)).to.deep.equal({
      ownUs: 2_000_000,
      waitedForUs: 100_000,
    });
  });
});

describe('parseSmapsRollup', () => {
  it('counts resident and anonymous memory in megabytes of 10^6 bytes', () => {
    const text = `55d0-7ffe ---p 00000000 00:00 0    [rollup]
Rss:               50000 kB
Pss:               40000 kB
Pss_Anon:          11000 kB
Anonymous:         12500 kB
`;
    expect(parseSmapsRollup(text)).to.deep.equal({ rssMb: 51.2, anonMb: 12.8 });
  });
});

describe('cpuPer', () => {
  const cost = { cpuUs: { out: 300, in: 100 }, memory: {}, busyShare: 0, foreignShare: 0 };

  it('divides what each process used, and their sum', () => {
    expect(cpuPer('request', cost, 100)).to.deep.equal({
      'cpuUsPerRequest.out': 3,
      'cpuUsPerRequest.in': 1,
      'cpuUsPerRequest.total': 4,
    });
  });

  it('tells that of bytes in milliseconds for a gigabyte', () => {
    expect(cpuPer('byte', cost, 1_000_000)).to.deep.equal({
      'cpuMsPerGb.out': 300,
      'cpuMsPerGb.in': 100,
      'cpuMsPerGb.total': 400,
    });
  });
});

describe('parseCpuList', () => {
  for (const [text, cpus] of [
    ['0-1', [0, 1]],
    ['3', [3]],
    ['0-2,5,7-8', [0, 1, 2, 5, 7, 8]],
    ['', []],
  ] as const) {
    it(`"${text}" is [${cpus.join(', ')}]`, () => {
      expect(parseCpuList(text)).to.deep.equal(cpus);
    });
  }
});

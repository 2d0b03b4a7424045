import { Writable } from 'node:stream';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { pino } from 'pino';
import { type ExpiringThing, ExpiryWatch } from '../../../src/cluster-agent/trust/expiry-watch.ts';
import { DAY_MS, NOW } from '../../trust-federation/pki.ts';

describe('the expiry watch', () => {
  it('tells once at 30, 7 and 1 days and at the end, and again of what took its place', async () => {
    const told: string[] = [];
    const sink = new Writable({
      write: (chunk: Buffer, _, done) => {
        const { what, stage } = JSON.parse(chunk.toString()) as { what: string; stage: string };
        told.push(`${what} ${stage}`);
        done();
      },
    });
    let nowMs = NOW;
    let things: readonly ExpiringThing[] = [
      { kind: 'root', what: 'old', notAfterMs: NOW + 40 * DAY_MS },
    ];
    const stop = new AbortController();
    const watch = new ExpiryWatch({
      things: () => things,
      log: pino(sink),
      now: () => nowMs,
      sleep: ms => {
        nowMs += ms;
        if (nowMs > NOW + 41 * DAY_MS && things[0]?.what === 'old') {
          things = [{ kind: 'root', what: 'new', notAfterMs: nowMs + 10 * DAY_MS }];
        }
        if (nowMs > NOW + 42 * DAY_MS) stop.abort();
        return Promise.resolve();
      },
    });
    expect([...watch.soonest()]).to.deep.equal([['root', NOW + 40 * DAY_MS]]);
    await watch.run(stop.signal);
    expect(told).to.deep.equal(['old 30d', 'old 7d', 'old 1d', 'old expired', 'new 30d']);
  });
});

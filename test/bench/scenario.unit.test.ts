import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { contestants, type Measured, runScenario, type Scenario } from '../../bench/scenario.ts';
import type { RunningSystem } from '../../bench/systems/system.ts';

const ENTRY = { host: '127.0.0.1', port: 1 };

function system(name: string): RunningSystem {
  return { name, entry: ENTRY, processes: {}, all: [] };
}

function scenario(measure: Scenario['measure'], extra: Partial<Scenario> = {}): Scenario {
  return {
    id: 'c50',
    title: 'a scenario',
    connections: 50,
    columns: [{ heading: 'requests/s', figure: 'rps' }],
    ratios: [{ name: 'rps50', figure: 'rps', better: 'higher' }],
    measure,
    ...extra,
  };
}

describe('runScenario', () => {
  let said: string[];
  let order: string[];
  beforeEach(() => {
    said = [];
    order = [];
  });
  const run = (measure: (system: RunningSystem) => Promise<Measured>, signal?: AbortSignal) =>
    runScenario(
      {
        pace: { rounds: 3, warmUpMs: 0, measureMs: 0 },
        signal: signal ?? new AbortController().signal,
        say: line => said.push(line),
      },
      'chain',
      scenario(async system => {
        order.push(system.name);
        return measure(system);
      }),
      [system('isthmus'), system('nginx')],
    );

  it('interleaves the systems and takes the median of their rounds', async () => {
    const rps = [10, 1, 30, 3, 20, 2];
    const results = await run(async () => ({
      figures: { rps: rps.shift() ?? 0 },
      failure: undefined,
    }));
    expect(order).to.deep.equal(['isthmus', 'nginx', 'isthmus', 'nginx', 'isthmus', 'nginx']);
    expect(results.map(({ system, figures }) => [system, figures['rps']])).to.deep.equal([
      ['isthmus', 20],
      ['nginx', 2],
    ]);
    expect(said[0]).to.equal('chain c50 1/3 isthmus: 10 requests/s');
  });

  it('fails a system for one bad round, says so at once, and goes on with the others', async () => {
    let rounds = 0;
    const results = await run(async ({ name }) => {
      if (name === 'nginx' && rounds++ === 1) throw new Error('process 7 has ended');
      return { figures: { rps: 1 }, failure: undefined };
    });
    expect(order).to.have.length(6);
    expect(results.map(({ failure }) => failure)).to.deep.equal([undefined, 'process 7 has ended']);
    expect(said).to.include('chain c50 2/3 nginx: FAILED: process 7 has ended');
  });

  it('stops between runs once it is aborted', async () => {
    const stop = new AbortController();
    let stopped = false;
    await run(async () => {
      stop.abort();
      return { figures: {}, failure: undefined };
    }, stop.signal).catch(() => (stopped = true));
    expect(stopped).to.equal(true);
    expect(order).to.deep.equal(['isthmus']);
  });
});

describe('contestants', () => {
  const names = (extra: Partial<Scenario>): string[] =>
    contestants(
      scenario(async () => ({ figures: {}, failure: undefined }), extra),
      [system('nginx'), system('haproxySplice'), system('isthmus')],
      ENTRY,
    ).map(({ name }) => name);

  it('start with ours', () => {
    expect(names({})).to.deep.equal(['isthmus', 'nginx', 'haproxySplice']);
  });

  it('end with the direct run where there is one', () => {
    expect(names({ direct: {} }).at(-1)).to.equal('direct');
  });

  it('are without those that the scenario is not put to', () => {
    expect(names({ without: ['haproxySplice'] })).to.deep.equal(['isthmus', 'nginx']);
  });
});

/** A cluster that is nearly full sends a share of its calls to another one, and takes them back. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { preflight, runDrill } from '../../src/cli/drill/drill.ts';
import type { DrillService } from '../../src/cli/drill/preflight.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const CHECKOUT = 'http://checkout.shop.svc.clusterset.local/';
const EAST = 'east' as ClusterName;
/** Long beside what the way costs, so that a call is in flight nearly all of its time. */
const HOLD_MS = 250;
/** What an endpoint says that it can serve at a time, and what it serves before it answers 503. */
const CAPACITY = 10;
const FALLS_OVER_BEYOND = 15;
/** At a time: more than it says, less than it can. */
const TOO_MANY = 13;
const LONG_MS = 60_000;

type Cluster = 'east' | 'west';

interface Callers {
  /** In the order they came, with who answered. */
  readonly answers: { readonly status: number; readonly by: Cluster }[];
  stop(): Promise<void>;
}

describe('a cluster whose endpoints say what they can do', function () {
  this.timeout(180_000);
  let mesh: Mesh;
  const busy: Record<Cluster, number> = { east: 0, west: 0 };
  const calling: Callers[] = [];

  before(async () => {
    mesh = await startMesh({
      clusters: ['east', 'west'],
      configure: dir => {
        writeFileSync(join(dir, 'east', 'policies.yaml'), 'policies: []\n');
        for (const cluster of ['east', 'west']) {
          const file = join(dir, cluster, 'services.yaml');
          const text = readFileSync(file, 'utf8');
          writeFileSync(file, text.replaceAll(/capacity: [0-9]+/g, `capacity: ${CAPACITY}`));
        }
      },
      applications: {
        checkout: (request, response) => {
          request.resume();
          const by = servedBy(String(request.headers['x-forwarded-client-cert']));
          busy[by]++;
          response.statusCode = busy[by] > FALLS_OVER_BEYOND ? 503 : 200;
          setTimeout(() => {
            busy[by]--;
            response.end(by);
          }, HOLD_MS);
        },
      },
    });
    for (const from of ['east/web', 'west/payments']) {
      await eventually(async () => expect((await mesh.call(from, CHECKOUT)).status).to.equal(200));
    }
  });
  afterEach(() => Promise.all(calling.splice(0).map(each => each.stop())));
  after(() => mesh.close());

  /** So many at a time, until they are stopped. */
  function callers(from: string, count: number): Callers {
    const answers: Callers['answers'] = [];
    let isOver = false;
    const each = Array.from({ length: count }, async () => {
      while (!isOver) {
        const { status, body } = await mesh.call(from, CHECKOUT);
        answers.push({ status, by: body === 'west' ? 'west' : 'east' });
      }
    });
    const started: Callers = {
      answers,
      stop: async () => {
        isOver = true;
        await Promise.all(each);
      },
    };
    calling.push(started);
    return started;
  }

  async function asked<T>(path: string): Promise<T> {
    const agent = mesh.fleet.clusters.find(({ name }) => name === 'east')?.agent.admin;
    const answer = agent === undefined ? undefined : await askAdminBody<T>(agent, path);
    if (answer === undefined) throw new Error(`the agent does not answer ${path}`);
    return answer;
  }

  async function spilt(): Promise<number> {
    return (await asked<Record<string, number>>('/debug/spills'))['shop/checkout east'] ?? 0;
  }

  /** Percent, as the agent of east knows them. */
  async function loads(): Promise<Map<string, number>> {
    const services = await asked<DrillService[]>('/debug/imports');
    const endpoints = services.find(({ name }) => name === 'checkout')?.endpoints ?? [];
    return new Map(endpoints.map(({ cluster, load }) => [cluster, load ?? 0]));
  }

  /** Mocha's limit bounds the wait. */
  async function more({ answers }: Callers, count: number): Promise<Callers['answers']> {
    const from = answers.length;
    await eventually(() => expect(answers.length).to.be.at.least(from + count), LONG_MS);
    return answers.slice(from);
  }

  const statuses = ({ answers }: Callers): number[] => [
    ...new Set(answers.map(({ status }) => status)),
  ];

  it('keeps its calls while the others are full too, and a drill of it finds no room', async () => {
    const others = callers('west/payments', TOO_MANY);
    await eventually(async () => expect((await loads()).get('west')).to.be.at.least(80), LONG_MS);
    const own = callers('east/web', TOO_MANY);
    await eventually(async () => expect((await loads()).get('east')).to.be.at.least(80), LONG_MS);
    // Several seconds, each of which would be enough for a first step.
    const answers = await more(own, 150);
    expect(await spilt()).to.equal(0);
    expect(new Set(answers.map(({ by }) => by))).to.deep.equal(new Set(['east']));

    const said: string[] = [];
    const outcome = await runDrill(mesh.fleet, {
      cluster: EAST,
      baselineMs: 0,
      overMs: 0,
      holdMs: 0,
      isForced: false,
      say: line => said.push(line),
      signal: new AbortController().signal,
    });
    expect(outcome).to.equal('refused');
    expect(said.join('\n')).to.match(
      /shop\/checkout +1 in east +west \(1\) .*no: [0-9]+ concurrent requests, [0-9]+ free/,
    );

    await others.stop();
    await eventually(async () => expect(await spilt()).to.be.at.least(10), LONG_MS);
    await own.stop();
    callers('east/web', CAPACITY / 2);
    await eventually(async () => {
      const [forecast] = await preflight(mesh.fleet, EAST);
      expect(forecast?.verdict).to.include({ kind: 'room' }).and.have.property('needed').above(0);
    }, LONG_MS);
    expect([statuses(own), statuses(others)]).to.deep.equal([[200], [200]]);
  });

  it('lets a share go before it falls over, keeps to it while it is busy, and takes it back', async () => {
    const first = callers('east/web', TOO_MANY);
    await eventually(async () => expect(await spilt()).to.be.at.least(20), LONG_MS);
    await eventually(async () => expect((await loads()).get('east')).to.be.below(80), LONG_MS);
    const settled = await spilt();
    // Longer than a step takes: below what made it go, and not yet below what brings it back.
    await more(first, 300);
    expect(await spilt()).to.be.at.least(settled);

    // With what it would fall over under if it kept all of it.
    const rest = callers('east/web', FALLS_OVER_BEYOND + 1 - TOO_MANY);
    const answers = await more(first, 200);
    expect(answers.filter(({ by }) => by === 'west').length).to.be.at.least(20);
    expect(answers.filter(({ by }) => by === 'east').length).to.be.at.least(60);
    await Promise.all([first.stop(), rest.stop()]);
    expect([statuses(first), statuses(rest)]).to.deep.equal([[200], [200]]);
    await eventually(async () => expect(await spilt()).to.equal(0), LONG_MS);

    const all = callers('east/web', FALLS_OVER_BEYOND + 1);
    await eventually(() => expect(statuses(all)).to.include(503));
    await all.stop();
  });
});

function servedBy(xfcc: string): Cluster {
  return xfcc.includes('By=spiffe://west.example/') ? 'west' : 'east';
}

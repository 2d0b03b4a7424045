/** Foreign bundle endpoints, honest and otherwise. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { FederationConfig } from '../../../src/cluster-agent/federation/config.ts';
import { ForeignBundles } from '../../../src/cluster-agent/federation/foreign-bundles.ts';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import { formatBundleDocument } from '../../../src/wire/bundle-document.ts';
import { testAuthority, testSvid } from '../../trust-federation/pki.ts';
import { eventually, LOG } from '../harness.ts';
import { documentAnswer, ForeignEndpoint, svidTls, webTls } from './endpoint.ts';

const PARTNER = testAuthority('partner.example', Date.now());
const NEXT = testAuthority('partner.example', Date.now());
const SERVER = testSvid(PARTNER, 'spire/server', Date.now());

function version(sequence: number, more: Partial<TrustBundle> = {}): TrustBundle {
  return { ...PARTNER.bundle, sequence, refreshHintSeconds: 60, ...more };
}
const both = [...PARTNER.bundle.x509Authorities, ...NEXT.bundle.x509Authorities];

describe('foreign bundles', () => {
  let dir: string;
  const started: { stop(): Promise<void> }[] = [];
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-federation-'));
  });
  afterEach(async () => {
    for (const each of started.splice(0).reverse()) await each.stop();
    await rm(dir, { recursive: true });
  });

  async function serve(
    ...given: Parameters<typeof ForeignEndpoint.start>
  ): Promise<ForeignEndpoint> {
    const endpoint = await ForeignEndpoint.start(...given);
    started.push(endpoint);
    return endpoint;
  }

  interface Follower {
    readonly foreign: ForeignBundles;
    /** What it asked to wait. */
    readonly waits: number[];
    /** Ends the wait; resolves when it has looked again. */
    look(): Promise<void>;
    roots(): number | undefined;
    problem(): string | undefined;
    stop(): Promise<void>;
  }

  async function follow(federation: FederationConfig): Promise<Follower> {
    const waits: number[] = [];
    let wake: () => void = () => undefined;
    const foreign = new ForeignBundles({
      federations: [federation],
      stateDir: dir,
      onFetched: () => undefined,
      log: LOG,
      now: Date.now,
      sleep: (ms, signal) => {
        waits.push(ms);
        return new Promise(resolve => {
          wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      },
    });
    await foreign.load();
    const stop = new AbortController();
    const done = foreign.run(stop.signal);
    const looked = (times: number): Promise<void> =>
      eventually('it looks again', () => waits.length > times);
    const follower = {
      foreign,
      waits,
      look: () => {
        const times = waits.length;
        wake();
        return looked(times);
      },
      roots: () => foreign.bundles.get(PARTNER.trustDomain)?.x509Authorities.length,
      problem: () => foreign.status()[0]?.problem?.message,
      stop: () => {
        stop.abort();
        return done;
      },
    };
    started.push(follower);
    await looked(0);
    return follower;
  }

  async function spiffe(url: string, bootstrap = version(1)): Promise<FederationConfig> {
    const bundle = join(dir, 'partner.json');
    await writeFile(bundle, formatBundleDocument(bootstrap));
    return {
      profile: 'https_spiffe',
      trustDomain: PARTNER.trustDomain,
      url,
      endpointSpiffeId: SERVER.id,
      bundle,
      mayCall: [],
    };
  }

  it('are fetched from an endpoint with an SVID, and again by the refresh hint', async () => {
    const endpoint = await serve(
      svidTls(SERVER),
      documentAnswer(formatBundleDocument(version(2, { x509Authorities: both }))),
    );
    const follower = await follow(await spiffe(endpoint.url));
    expect(follower.roots()).to.equal(2);
    expect(follower.waits).to.deep.equal([60_000]);
    expect(endpoint.requests).to.deep.equal(['/bundle']);
    endpoint.answer = documentAnswer(formatBundleDocument(version(3)));
    await follower.look();
    expect(follower.roots()).to.equal(1);
    expect(follower.problem()).to.equal(undefined);
  });

  it('are fetched from an endpoint of the web that these roots vouch for, and from no other', async () => {
    const { roots, ...tls } = webTls(Date.now());
    const endpoint = await serve(tls, documentAnswer(formatBundleDocument(version(2))));
    const web = {
      profile: 'https_web',
      trustDomain: PARTNER.trustDomain,
      url: endpoint.url,
      mayCall: [],
    } satisfies FederationConfig;
    const file = join(dir, 'roots.pem');
    await writeFile(file, roots);
    const stranger = await follow(web);
    expect(stranger.roots()).to.equal(undefined);
    expect(stranger.problem()).to.match(/certificate/);
    const other = await follow({
      ...web,
      url: endpoint.url.replace('localhost', '127.0.0.1'),
      roots: file,
    });
    expect(other.problem()).to.match(/127\.0\.0\.1/);
    expect(endpoint.requests).to.deep.equal([]);
    const follower = await follow({ ...web, roots: file });
    expect(follower.roots()).to.equal(1);
  });

  it('are not asked of a server that is somebody else', async () => {
    for (const svid of [
      testSvid(PARTNER, 'spire/agent', Date.now()),
      testSvid(NEXT, 'spire/server', Date.now()),
    ]) {
      const answer = documentAnswer(formatBundleDocument(version(9)));
      const endpoint = await serve(svidTls(svid), answer);
      const follower = await follow(await spiffe(endpoint.url));
      expect(follower.foreign.bundles.get(PARTNER.trustDomain)?.sequence).to.equal(1);
      expect(follower.problem()).to.not.equal(undefined);
      expect(endpoint.requests).to.deep.equal([]);
    }
  });

  it('follow the roots of the version in hand', async () => {
    const endpoint = await serve(
      svidTls(SERVER),
      documentAnswer(formatBundleDocument(version(2, { x509Authorities: both }))),
    );
    const federation = await spiffe(endpoint.url);
    const follower = await follow(federation);
    await endpoint.stop();
    started.splice(started.indexOf(endpoint), 1);
    const next = testSvid(NEXT, 'spire/server', Date.now());
    const document = formatBundleDocument(version(3, NEXT.bundle));
    const moved = await serve(svidTls(next), documentAnswer(document));
    await follower.stop();
    const again = await follow({ ...federation, url: moved.url });
    expect(again.problem()).to.equal(undefined);
  });

  type Lie = (elsewhere: string) => (endpoint: ForeignEndpoint) => void;
  type Lies = readonly [what: string, lie: Lie, why: RegExp];
  const lies: readonly Lies[] = [
    ...[301, 302, 303, 307, 308].map(
      (status): Lies => [
        `a redirect with ${status}`,
        elsewhere => endpoint => {
          endpoint.answer = response => response.writeHead(status, { location: elsewhere }).end();
        },
        /redirects to .* not followed/,
      ],
    ),
    [
      'an error',
      () => endpoint => (endpoint.answer = r => r.writeHead(500).end('x')),
      /status 500/,
    ],
    [
      'an answer that breaks off',
      () => endpoint => {
        endpoint.answer = response => {
          response.writeHead(200, { 'content-length': 1000 });
          response.write('{"keys":[');
          setImmediate(() => response.destroy());
        };
      },
      /broke off|aborted|hang up|ECONNRESET/,
    ],
    [
      'more bytes than a bundle has',
      () => endpoint => {
        endpoint.answer = response => response.writeHead(200).end(Buffer.alloc(3_000_000, 0x20));
      },
      /no bundle/,
    ],
    [
      'a document that is none',
      () => endpoint => (endpoint.answer = documentAnswer(Buffer.from('{"keys":'))),
      /bundle of "partner.example"/,
    ],
    [
      'the roots of another trust domain',
      () => endpoint => {
        const { bundle } = testAuthority('other.example', Date.now());
        endpoint.answer = documentAnswer(formatBundleDocument({ ...bundle, sequence: 9 }));
      },
      /another trust domain/,
    ],
    [
      'an older version',
      () => endpoint => (endpoint.answer = documentAnswer(formatBundleDocument(version(1)))),
      /older/,
    ],
    [
      'another version under the same number',
      () => endpoint => {
        const other = version(2, { x509Authorities: both });
        endpoint.answer = documentAnswer(formatBundleDocument(other));
      },
      /something else/,
    ],
  ];
  for (const [what, lie, why] of lies) {
    it(`stay as they are in face of ${what}, and take the next good one`, async () => {
      const elsewhere = await serve(
        svidTls(SERVER),
        documentAnswer(formatBundleDocument(version(7, { x509Authorities: both }))),
      );
      const endpoint = await serve(
        svidTls(SERVER),
        documentAnswer(formatBundleDocument(version(2))),
      );
      const follower = await follow(await spiffe(endpoint.url));
      lie(elsewhere.url)(endpoint);
      await follower.look();
      expect(follower.foreign.bundles.get(PARTNER.trustDomain)?.sequence).to.equal(2);
      expect(follower.problem()).to.match(why);
      expect(elsewhere.requests).to.deep.equal([]);
      expect(follower.waits.at(-1)).to.be.at.most(60_000);
      endpoint.answer = documentAnswer(formatBundleDocument(version(3)));
      await follower.look();
      expect(follower.foreign.bundles.get(PARTNER.trustDomain)?.sequence).to.equal(3);
      expect(follower.problem()).to.equal(undefined);
    });
  }

  it('that are empty and authentic mean that nobody is trusted', async () => {
    const empty = version(2, { x509Authorities: [] });
    const endpoint = await serve(svidTls(SERVER), documentAnswer(formatBundleDocument(empty)));
    const follower = await follow(await spiffe(endpoint.url));
    expect(follower.roots()).to.equal(0);
  });

  it('survive a restart without the endpoint, and do not go back to the first file', async () => {
    const document = formatBundleDocument(version(5, { x509Authorities: both }));
    const endpoint = await serve(svidTls(SERVER), documentAnswer(document));
    const federation = await spiffe(endpoint.url);
    await (await follow(federation)).stop();
    await endpoint.stop();
    started.length = 0;
    const later = await follow(federation);
    expect(later.roots()).to.equal(2);
    expect(later.problem()).to.match(/ECONNREFUSED/);
    await later.stop();
    started.length = 0;
    const newer = await spiffe(federation.url, version(6));
    const handedOver = await follow(newer);
    expect(handedOver.roots()).to.equal(1);
  });

  it('without numbers are taken as they come', async () => {
    const endpoint = await serve(svidTls(SERVER), documentAnswer(formatBundleDocument(version(0))));
    const follower = await follow(await spiffe(endpoint.url, version(0)));
    endpoint.answer = documentAnswer(formatBundleDocument(version(0, { x509Authorities: both })));
    await follower.look();
    expect(follower.roots()).to.equal(2);
  });

  it('are waited for within bounds, whatever the hint', async () => {
    const hint = (refreshHintSeconds: number, sequence: number) =>
      documentAnswer(formatBundleDocument(version(sequence, { refreshHintSeconds })));
    const endpoint = await serve(svidTls(SERVER), hint(0, 2));
    const follower = await follow(await spiffe(endpoint.url));
    endpoint.answer = hint(10 ** 9, 3);
    await follower.look();
    expect(follower.waits).to.deep.equal([10_000, 3_600_000]);
  });
});

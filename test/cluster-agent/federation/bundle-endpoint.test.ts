/** Our own bundle endpoint, asked by ourselves and by whoever speaks HTTPS. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { fetchBundle } from '../../../src/cluster-agent/federation/fetch-bundle.ts';
import { parseTrustDomain } from '../../../src/mesh/spiffe-id.ts';
import { agentId } from '../../../src/mesh/system-identities.ts';
import { loadRoots } from '../../../src/trust-federation/authority/root-file.ts';
import { formatBundleDocument, parseBundleDocument } from '../../../src/wire/bundle-document.ts';
import { testAuthority } from '../../trust-federation/pki.ts';
import { FakeRegistry } from '../fake-registry.ts';
import { debugOf, eventually, type RunningAgent, startAgent, TRUST_DOMAIN } from '../harness.ts';
import { publishedCluster } from '../published-cluster.ts';
import { webTls } from './endpoint.ts';

const FOREVER = new AbortController().signal;

describe('the bundle endpoint', () => {
  let dir: string;
  let agent: RunningAgent | undefined;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-endpoint-'));
  });
  afterEach(async () => {
    await agent?.stop();
    await rm(dir, { recursive: true });
  });

  async function start(config: Record<string, unknown>, registry = new FakeRegistry()) {
    agent = await startAgent({ dir, registry, config });
    return agent;
  }
  function urlOf({ bundleAddress }: RunningAgent): string {
    return `https://localhost:${bundleAddress?.port ?? 0}/`;
  }

  it('under an SVID gives the document to whoever trusts its root, and proves who it is', async () => {
    const running = await start({
      bundleEndpoint: { profile: 'https_spiffe', listen: '127.0.0.1:0' },
    });
    const roots = await loadRoots(join(dir, 'agent', 'trust-root.pem'));
    const proof = { profile: 'https_spiffe', id: agentId(TRUST_DOMAIN), bundle: roots } as const;
    const document = await fetchBundle(urlOf(running), proof, Date.now, FOREVER);
    expect(parseBundleDocument(document, TRUST_DOMAIN).x509Authorities).to.deep.equal(
      roots.x509Authorities,
    );
    const other = { ...proof, bundle: { ...testAuthority(TRUST_DOMAIN, Date.now()).bundle } };
    const refused = fetchBundle(urlOf(running), other, Date.now, FOREVER);
    expect(await refused.then(String, String)).to.match(/certificate/);
  });

  it('under a certificate of the web gives it to anyone who trusts that, and is not for writing', async () => {
    const { roots, cert, key } = webTls(Date.now());
    await writeFile(join(dir, 'web.pem'), cert);
    await writeFile(join(dir, 'web.key'), key, { mode: 0o600 });
    const running = await start({
      bundleEndpoint: {
        profile: 'https_web',
        listen: '127.0.0.1:0',
        certificate: 'web.pem',
        key: 'web.key',
      },
    });
    const proof = { profile: 'https_web', roots } as const;
    const document = await fetchBundle(urlOf(running), proof, Date.now, FOREVER);
    expect(parseBundleDocument(document, TRUST_DOMAIN).x509Authorities).to.have.length(1);
    const status = await new Promise<number | undefined>((done, fail) => {
      const post = request(urlOf(running), { method: 'POST', ca: roots, agent: false }, response =>
        done(response.resume().statusCode),
      );
      post.once('error', fail).end('{}');
    });
    expect(status).to.equal(405);
  });

  it('does not mind what is no TLS', async () => {
    const running = await start({
      bundleEndpoint: { profile: 'https_spiffe', listen: '127.0.0.1:0' },
    });
    const socket = connect(running.bundleAddress!);
    socket.on('error', () => undefined).resume();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await new Promise(resolve => socket.once('close', resolve));
    const roots = await loadRoots(join(dir, 'agent', 'trust-root.pem'));
    const proof = { profile: 'https_spiffe', id: agentId(TRUST_DOMAIN), bundle: roots } as const;
    expect(await fetchBundle(urlOf(running), proof, Date.now, FOREVER)).to.not.equal(undefined);
  });

  describe('of others', () => {
    const federation = (trustDomain: string) => ({
      trustDomain,
      url: 'https://localhost:1/',
      profile: 'https_spiffe',
      endpointSpiffeId: `spiffe://${trustDomain}/spire/server`,
      bundle: 'foreign.json',
    });

    it('adds its trust domain to the mesh, but never one that a member has', async () => {
      const foreign = testAuthority('west.example', Date.now());
      await writeFile(join(dir, 'foreign.json'), formatBundleDocument(foreign.bundle));
      const registry = new FakeRegistry();
      const running = await start({ federatesWith: [federation('west.example')] }, registry);
      const rootsOfWest = async (): Promise<readonly string[] | undefined> => {
        const bundles = await debugOf<{ trustDomain: string; roots: string[] }[]>(running, 'trust');
        return bundles.find(({ trustDomain }) => trustDomain === 'west.example')?.roots;
      };
      const before = await rootsOfWest();
      expect(before).to.have.length(1);
      registry.write('west' as never, publishedCluster('west', ['payments-0']));
      await eventually('the member has its trust domain', async () => {
        const now = await rootsOfWest();
        return now?.[0] !== undefined && now[0] !== before?.[0];
      });
    });

    for (const trustDomain of [TRUST_DOMAIN, parseTrustDomain('clusterset.example')]) {
      it(`cannot be "${trustDomain}"`, async () => {
        await writeFile(
          join(dir, 'foreign.json'),
          formatBundleDocument(testAuthority(trustDomain, Date.now()).bundle),
        );
        const failed = start({ federatesWith: [federation(trustDomain)] });
        expect(await failed.then(() => 'started', String)).to.match(/federatesWith\.0/);
      });
    }
  });
});

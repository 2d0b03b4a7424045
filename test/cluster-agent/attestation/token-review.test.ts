/** Kubernetes service account tokens, reviewed by an API server over HTTPS: what it says decides. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { TokenReviewAttestor } from '../../../src/cluster-agent/attestation/token-review.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { parseTrustDomain } from '../../../src/mesh/spiffe-id.ts';
import { closeServer } from '../../../src/runtime/listen.ts';

const TRUST_DOMAIN = parseTrustDomain('east.example');
const AGENT_TOKEN = 'agent-token';
const WEB = 'system:serviceaccount:shop:web';

describe('a TokenReview', () => {
  let dir: string;
  let server: Server;
  let url: string;
  /** What the API server says of each token. */
  const reviews: Record<string, unknown> = {
    'web-token': { authenticated: true, audiences: ['isthmus'], user: { username: WEB } },
    'other-audience': { authenticated: true, audiences: ['vault'], user: { username: WEB } },
    'no-audiences': { authenticated: true, user: { username: WEB } },
    'a-person': { authenticated: true, audiences: ['isthmus'], user: { username: 'alice' } },
    'strange-name': {
      authenticated: true,
      audiences: ['isthmus'],
      user: { username: 'system:serviceaccount:../x:web' },
    },
    stolen: { authenticated: false, error: 'token has been invalidated' },
    'says-so-itself': { authenticated: 'true', audiences: ['isthmus'], user: { username: WEB } },
  };

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-review-'));
    makeServerCertificate(dir);
    await writeFile(join(dir, 'token'), `${AGENT_TOKEN}\n`);
    server = createServer(
      { key: readFileSync(join(dir, 'server.key')), cert: readFileSync(join(dir, 'server.crt')) },
      (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.once('end', () => {
          const review = JSON.parse(Buffer.concat(chunks).toString()) as {
            kind: string;
            spec: { token: string; audiences: string[] };
          };
          const { token, audiences } = review.spec;
          if (
            request.headers.authorization !== `Bearer ${AGENT_TOKEN}` ||
            request.url !== '/apis/authentication.k8s.io/v1/tokenreviews' ||
            request.method !== 'POST' ||
            review.kind !== 'TokenReview' ||
            audiences[0] !== 'isthmus'
          ) {
            response.writeHead(403).end('{}');
          } else if (token === 'redirect') {
            response.writeHead(307, { location: `${url}/elsewhere` }).end();
          } else if (token === 'huge') {
            response.writeHead(201).end(`"${'x'.repeat(1_000_000)}"`);
          } else if (token === 'no-json') {
            response.writeHead(201).end('<html>');
          } else {
            response.writeHead(201, { 'content-type': 'application/json' });
            response.end(JSON.stringify({ ...review, status: reviews[token] ?? {} }));
          }
        });
      },
    );
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    server.closeAllConnections();
    await closeServer(server);
    await rm(dir, { recursive: true });
  });

  const attestorOf = (options: { server?: string; ca?: string; token?: string } = {}) =>
    new TokenReviewAttestor({
      server: options.server ?? url,
      ca: join(dir, options.ca ?? 'ca.crt'),
      token: join(dir, options.token ?? 'token'),
      audience: 'isthmus',
      trustDomain: TRUST_DOMAIN,
    });
  const attest = async (token: string, attestor = attestorOf()): Promise<string> => {
    let accepted: string | undefined;
    try {
      const id = await attestor.attest({ token, keySha256: '' }, claimed => (accepted = claimed));
      expect(accepted).to.equal(id);
      return id;
    } catch (error) {
      expect(accepted).to.equal(undefined);
      if (isMeshError(error)) return error.code;
      throw error;
    }
  };

  it('vouches for the workload of that service account', async () => {
    expect(await attest('web-token')).to.equal('spiffe://east.example/ns/shop/sa/web');
  });

  for (const token of [
    'other-audience',
    'no-audiences',
    'a-person',
    'stolen',
    'says-so-itself',
    'unheard-of',
  ]) {
    it(`vouches for nobody when the token is ${token.replaceAll('-', ' ')}`, async () => {
      expect(await attest(token)).to.equal('TOKEN_UNKNOWN');
    });
  }

  it('vouches for nobody whose names are no names', async () => {
    expect(await attest('strange-name')).to.equal('NAME_INVALID');
    expect(await attest('x'.repeat(20_000))).to.equal('TOKEN_UNKNOWN');
  });

  it('is not believed from a server that redirects, answers nonsense or too much, or is a stranger', async () => {
    expect(await attest('redirect')).to.equal('PEER_UNAVAILABLE');
    expect(await attest('no-json')).to.equal('PEER_UNAVAILABLE');
    expect(await attest('huge')).to.equal('PEER_UNAVAILABLE');
    expect(await attest('web-token', attestorOf({ ca: 'other-ca.crt' }))).to.equal(
      'PEER_UNAVAILABLE',
    );
    expect(await attest('web-token', attestorOf({ server: 'https://127.0.0.1:1' }))).to.equal(
      'PEER_UNAVAILABLE',
    );
    expect(await attest('web-token', attestorOf({ token: 'missing' }))).to.equal(
      'PEER_UNAVAILABLE',
    );
    await writeFile(join(dir, 'old-token'), 'expired');
    expect(await attest('web-token', attestorOf({ token: 'old-token' }))).to.equal(
      'PEER_UNAVAILABLE',
    );
    expect(await attest('web-token')).to.match(/^spiffe:/);
  });
});

/** A CA and a server certificate for 127.0.0.1, by the openssl command; and a CA of somebody else. */
function makeServerCertificate(dir: string): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const name of ['ca', 'other-ca']) {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
    );
  }
  openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=kube');
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'server.crt',
    '-days',
    '2',
    '-extfile',
    writeExtensions(dir),
  );
}

function writeExtensions(dir: string): string {
  const path = join(dir, 'extensions');
  writeFileSync(path, 'subjectAltName=IP:127.0.0.1\n');
  return path;
}

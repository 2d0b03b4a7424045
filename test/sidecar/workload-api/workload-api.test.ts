/** Read by a stock gRPC client from the specification's proto, over the socket, as go-spiffe and others do. */

import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, type Metadata, Metadata as RpcMetadata } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { TrustDomain } from '../../../src/mesh/spiffe-id.ts';
import { createLogger } from '../../../src/runtime/log.ts';
import { sleep } from '../../../src/runtime/supervise.ts';
import { openWorkloadApi } from '../../../src/sidecar/workload-api/socket.ts';
import { signJwtSvid } from '../../../src/trust-federation/identity/jwt-svid.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import { testLink } from '../../support/data-plane.ts';
import { testAuthority, testSvid } from '../../trust-federation/pki.ts';

const PROTO = 'src/wire/proto/spiffe/workload/workload.proto';
const SERVICE = loadSync(PROTO, { keepCase: true, defaults: true })[
  'SpiffeWorkloadAPI'
] as ServiceDefinition;
const NOW = Date.now();
const EAST = testAuthority('east.example', NOW);
const WEST = testAuthority('west.example', NOW);
const HEADER = new RpcMetadata();
HEADER.set('workload.spiffe.io', 'true');

const log = createLogger('test');
log.level = 'silent';

interface Answer {
  readonly svids: readonly {
    spiffe_id: string;
    x509_svid: Buffer;
    x509_svid_key: Buffer;
    bundle: Buffer;
    svid: string;
  }[];
  readonly federated_bundles: Record<string, Buffer>;
  readonly bundles: Record<string, Buffer>;
  readonly spiffe_id: string;
  readonly claims: { readonly fields: Record<string, { readonly stringValue?: string }> };
}

describe('the Workload API', () => {
  let dir: string;
  let client: Client;
  let stop: AbortController;
  let done: Promise<void>;
  let link: ReturnType<typeof testLink>;
  let asked: number;
  const jwtKey = { key: generateSvidKey(), keyId: 'k1' };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-wl-'));
    asked = 0;
    link = testLink(testSvid(EAST, 'ns/shop/sa/web', NOW), [EAST, WEST]);
    const spki = createPublicKey(jwtKey.key).export({ type: 'spki', format: 'der' });
    const jwtAuthorities = [{ keyId: jwtKey.keyId, spki }];
    link.bundles.put(EAST.trustDomain, { ...EAST.bundle, jwtAuthorities });
    const { id } = link.identity.current();
    const jwtSvid = (audience: readonly string[]) => {
      asked += 1;
      const token = signJwtSvid({ id, audience, ttlMs: 300_000 }, jwtKey, Date.now());
      return Promise.resolve({ token, expiresMs: Date.now() + 300_000 });
    };
    const config = { workloadApi: { socket: join(dir, 'api.sock') } };
    const socket = await openWorkloadApi(
      config as never,
      { ...link, identity: link.identity, jwtSvid },
      log,
      Date.now,
    );
    if (socket === undefined) throw new Error('no socket');
    stop = new AbortController();
    done = socket.run(stop.signal);
    client = new Client(`unix:${join(dir, 'api.sock')}`, credentials.createInsecure());
  });
  afterEach(async () => {
    client.close();
    stop.abort();
    await done;
    await rm(dir, { recursive: true });
  });

  const methodOf = (name: string) => {
    const method = SERVICE[name];
    if (method === undefined) throw new Error(`no method ${name}`);
    return method;
  };
  const unary = (name: string, request: object, metadata: Metadata = HEADER): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = methodOf(name);
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error, answer) => {
          if (error === null) resolve(answer as Answer);
          else reject(error);
        },
      );
    });
  const stream = (name: string, metadata: Metadata = HEADER) => {
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      {},
      metadata,
    );
    const answers: Answer[] = [];
    let code: number | undefined;
    call.on('data', (answer: Answer) => answers.push(answer));
    call.on('error', (error: { code?: number }) => (code = error.code));
    const until = async (condition: () => boolean): Promise<void> => {
      while (!condition()) await sleep(5);
    };
    return {
      nth: async (n: number): Promise<Answer> => {
        await until(() => answers.length >= n);
        const answer = answers[n - 1];
        if (answer === undefined) throw new Error('no answer');
        return answer;
      },
      failure: async (): Promise<number | undefined> => {
        await until(() => code !== undefined);
        return code;
      },
      cancel: () => call.cancel(),
    };
  };

  it('gives the SVID with its key and roots at once, and again after each rotation', async () => {
    const answers = stream('FetchX509SVID');
    const [svid] = (await answers.nth(1)).svids;
    const leaf = new X509Certificate(svid?.x509_svid ?? Buffer.alloc(0));
    expect(svid?.spiffe_id).to.equal('spiffe://east.example/ns/shop/sa/web');
    const key = createPrivateKey({
      key: svid?.x509_svid_key ?? Buffer.alloc(0),
      format: 'der',
      type: 'pkcs8',
    });
    expect(leaf.checkPrivateKey(key)).to.equal(true);
    expect(svid?.x509_svid).to.deep.equal(Buffer.concat(link.identity.current().chain));
    expect(svid?.bundle).to.deep.equal(EAST.root.certificate.der);
    const { federated_bundles } = await answers.nth(1);
    expect(Object.keys(federated_bundles)).to.deep.equal(['spiffe://west.example']);

    link.identity.rotate(testSvid(EAST, 'ns/shop/sa/web', NOW));
    const [next] = (await answers.nth(2)).svids;
    expect(next?.x509_svid).to.deep.equal(Buffer.concat(link.identity.current().chain));
    expect(next?.x509_svid).to.not.deep.equal(svid?.x509_svid);
    link.bundles.delete('west.example' as TrustDomain);
    expect((await answers.nth(3)).federated_bundles).to.deep.equal({});
    answers.cancel();
  });

  it('gives the bundles of all trust domains, X.509 and JWT, and again when one changes', async () => {
    const x509 = stream('FetchX509Bundles');
    const jwt = stream('FetchJWTBundles');
    expect((await x509.nth(1)).bundles['spiffe://west.example']).to.deep.equal(
      WEST.root.certificate.der,
    );
    const keys = JSON.parse(String((await jwt.nth(1)).bundles['spiffe://east.example'])) as {
      keys: { kid: string; use: string }[];
    };
    expect(keys.keys).to.have.length(1);
    expect(keys.keys[0]).to.include({ kid: 'k1', use: 'jwt-svid', kty: 'EC' });
    link.bundles.put(WEST.trustDomain, { ...WEST.bundle, sequence: 9, x509Authorities: [] });
    expect((await x509.nth(2)).bundles['spiffe://west.example']).to.have.length(0);
    x509.cancel();
    jwt.cancel();
  });

  it('gives a JWT-SVID that it finds valid itself, and asks the agent once for each audience', async () => {
    const fetch = () => unary('FetchJWTSVID', { audience: ['payments'] });
    const [svid] = (await fetch()).svids;
    const valid = await unary('ValidateJWTSVID', { audience: 'payments', svid: svid?.svid });
    expect(valid.spiffe_id).to.equal('spiffe://east.example/ns/shop/sa/web');
    expect(valid.claims.fields['sub']?.stringValue).to.equal(valid.spiffe_id);
    expect((await fetch()).svids[0]?.svid).to.equal(svid?.svid);
    expect(asked).to.equal(1);
    await unary('FetchJWTSVID', { audience: ['ledger'] });
    expect(asked).to.equal(2);
  });

  const INVALID_ARGUMENT = 3;
  const PERMISSION_DENIED = 7;
  const codeOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'ok',
      (error: unknown) => (error as { code?: number }).code,
    );

  it('refuses every call without the security header', async () => {
    const none = new RpcMetadata();
    for (const name of ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles']) {
      expect(await stream(name, none).failure(), name).to.equal(INVALID_ARGUMENT);
    }
    const wrong = new RpcMetadata();
    wrong.set('workload.spiffe.io', 'TRUE');
    expect(await codeOf(unary('FetchJWTSVID', { audience: ['a'] }, wrong))).to.equal(
      INVALID_ARGUMENT,
    );
    expect(await codeOf(unary('ValidateJWTSVID', { audience: 'a' }, none))).to.equal(
      INVALID_ARGUMENT,
    );
    expect(await codeOf(unary('FetchJWTSVID', { audience: ['a'] }))).to.equal('ok');
  });

  it('refuses another identity, no audience, and tokens for others', async () => {
    const mine = link.identity.current().id;
    const fetch = (request: object) => codeOf(unary('FetchJWTSVID', request));
    expect(await fetch({ audience: ['a'], spiffe_id: `${mine}x` })).to.equal(PERMISSION_DENIED);
    expect(await fetch({ audience: [] })).to.equal(INVALID_ARGUMENT);
    expect(await fetch({ audience: ['a'], spiffe_id: mine })).to.equal('ok');
    const [svid] = (await unary('FetchJWTSVID', { audience: ['a'] })).svids;
    const validate = (audience: string) =>
      codeOf(unary('ValidateJWTSVID', { audience, svid: svid?.svid }));
    expect(await validate('b')).to.equal(INVALID_ARGUMENT);
    expect(await validate('a')).to.equal('ok');
  });

  it('is open to its owner and group alone', async () => {
    expect((await stat(join(dir, 'api.sock'))).mode & 0o777).to.equal(0o660);
  });
});

/** A cluster joins, stays and leaves: real registry processes, on both kinds of store. */

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import {
  joinClusterSet,
  RegistryClient,
  renewMembership,
} from '../../src/global-registry/client.ts';
import type { RegistryConfig } from '../../src/global-registry/config.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import { memberId, registryId } from '../../src/mesh/spiffe-id.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { loadMemberCredentials } from '../../src/trust-federation/authority/clusterset-authority.ts';
import { generateSvidKey, parseSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import { createCsr } from '../../src/trust-federation/x509/csr.ts';
import { MembershipOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/membership.ts';
import { RegistryOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/registry.ts';
import { ClusterJoinDefinition } from '../../src/wire/generated/isthmus/registry/v1/join.ts';
import { formatJoinToken, parseJoinToken } from '../../src/wire/join-token.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import { configOf } from './records.ts';
import {
  createRegistryPlace,
  type PlacedRegistry,
  type RegistryPlace,
  SET,
  type StartOptions,
} from './registry-place.ts';

const HOUR = 3_600_000n;
const { createJoinToken, listJoinTokens, revokeJoinToken, endMembership } =
  MembershipOperatorDefinition.methods;

const log = createLogger('test');
log.level = 'silent';

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    return isMeshError(error) ? error.code : String(error);
  }
}

async function tokenFor(
  registry: PlacedRegistry,
  cluster: string,
  rejoin = false,
): Promise<string> {
  const request = { cluster, ttlMs: HOUR, by: 'tester', rejoin };
  return (await registry.operator.unary(createJoinToken, request)).token;
}

async function statesAt(registry: PlacedRegistry): Promise<string[]> {
  const { tokens } = await registry.operator.unary(listJoinTokens, {});
  return tokens.map(({ cluster, state }) => `${cluster} ${state}`).sort();
}

function suite(storeOf: () => RegistryConfig['store']): void {
  let place: RegistryPlace;
  let registry: PlacedRegistry;
  let counter = 0;

  beforeEach(async () => {
    place = await createRegistryPlace();
    registry = await start('registry');
  });
  afterEach(() => place.close());

  const start = (name: string, options: StartOptions = {}): Promise<PlacedRegistry> =>
    place.start(name, { store: storeOf(), ...options });
  const newDir = async (): Promise<string> => {
    const dir = join(place.dir, `cluster-${counter++}`);
    await mkdir(dir, { mode: 0o700 });
    return join(dir, 'membership');
  };
  const redeem = async (token: string, dir?: string, now: () => number = Date.now): Promise<Svid> =>
    joinClusterSet({ token, dir: dir ?? (await newDir()), replace: false, now });
  const clientOf = (svid: Svid, roots: Parameters<typeof meshRpcTls>[1]): RegistryClient =>
    new RegistryClient({
      addresses: [registry.address],
      tls: () => meshRpcTls(svid, roots, exactly(registryId(SET)), Date.now),
      log,
    });

  it('a token makes a cluster a member, and what it publishes is accepted', async () => {
    const dir = await newDir();
    const svid = await redeem(await tokenFor(registry, 'east'), dir);
    expect(svid.id).to.equal(memberId(SET, 'east' as ClusterName));
    expect(await readdir(dir)).to.have.members(['identity.pem', 'clusterset-root.pem']);
    const saved = await loadMemberCredentials(dir);
    const client = clientOf(saved.svid, saved.roots);
    await client.publish({ puts: [configOf('east')], deletes: [] });
    client.close();
    expect(await statesAt(registry)).to.deep.equal(['east redeemed']);
    expect(place.warnings, 'as if somebody had attacked').to.deep.equal([]);
  });

  it('of fifty agents that redeem one token at once through two processes exactly one wins', async () => {
    const two =
      storeOf().kind === 'etcd' ? [registry, await start('registry-2')] : [registry, registry];
    const issued = parseJoinToken(await tokenFor(registry, 'east'));
    const tokens = two.map(each => formatJoinToken({ ...issued, addresses: [each.join] }));
    const attempts = Array.from({ length: 50 }, (_, i) => codeOf(redeem(tokens[i % 2] ?? '')));
    const codes = await Promise.all(attempts);
    expect(codes.filter(code => code === 'ok')).to.have.length(1);
    expect(codes.filter(code => code === 'TOKEN_USED')).to.have.length(49);
  });

  it('a lost answer costs nothing: the same key may ask again, another may not', async () => {
    const text = await tokenFor(registry, 'east');
    const { secret } = parseJoinToken(text);
    const dir = await newDir();
    const first = await redeem(text, dir);
    const roots = (await loadMemberCredentials(dir)).roots;
    const tls = meshRpcTls(undefined, roots, exactly(registryId(SET)), Date.now);
    const channel = new RpcChannel(ClusterJoinDefinition, { address: registry.join, tls });
    const ask = (key: typeof first.key) =>
      channel.unary(ClusterJoinDefinition.methods.redeem, {
        secret: Buffer.from(secret),
        csr: createCsr(key, first.id),
      });
    const again = parseSvid((await ask(first.key)).chain, first.key);
    expect(again.id).to.equal(first.id);
    expect(await codeOf(ask(generateSvidKey()))).to.equal('TOKEN_USED');
    channel.close();
  });

  it('expired, revoked and unknown tokens admit nobody, and a revoked one was good before', async () => {
    let nowMs = Date.now();
    await registry.stop();
    registry = await start('registry', { now: () => nowMs });
    const token = await tokenFor(registry, 'east');
    const spare = await tokenFor(registry, 'west');
    const { tokens } = await registry.operator.unary(listJoinTokens, {});
    expect(await statesAt(registry)).to.deep.equal(['east unused', 'west unused']);
    const id = tokens.find(({ cluster }) => cluster === 'west')?.id ?? '';
    await registry.operator.unary(revokeJoinToken, { id, by: 'ada' });
    expect(await codeOf(redeem(spare))).to.equal('TOKEN_REVOKED');
    const other = formatJoinToken({ ...parseJoinToken(token), secret: Buffer.alloc(32, 7) });
    expect(await codeOf(redeem(other))).to.equal('TOKEN_UNKNOWN');
    nowMs += 3_600_001;
    expect(await codeOf(redeem(token))).to.equal('TOKEN_EXPIRED');
    expect(await statesAt(registry)).to.deep.equal(['east expired', 'west revoked']);
    nowMs -= 3_600_001;
    expect(await codeOf(redeem(token))).to.equal('ok');
    const east = tokens.find(({ cluster }) => cluster === 'east')?.id ?? '';
    expect(
      await codeOf(registry.operator.unary(revokeJoinToken, { id: east, by: 'ada' })),
    ).to.equal('TOKEN_USED');
    // Each in the journal, with who did it; what was refused changed nothing.
    const expected = [
      'token-created east by operator tester',
      'token-created west by operator tester',
      'token-revoked west by operator ada',
      'token-redeemed east by 127.0.0.1',
    ];
    const journal: string[] = [];
    const following = AbortSignal.timeout(10_000);
    const socketPath = join(registry.stateDir, 'operator.sock');
    const operator = new RpcChannel(RegistryOperatorDefinition, { socketPath });
    const { audit } = RegistryOperatorDefinition.methods;
    for await (const { entry } of operator.serverStream(audit, { follow: true }, following)) {
      for (const { action, subject } of entry?.changes ?? []) {
        journal.push(`${action} ${subject} by ${entry?.who ?? ''}`);
      }
      if (journal.length === expected.length) break;
    }
    operator.close();
    expect(journal).to.deep.equal(expected);
  });

  it('the secret is not shown to a registry with another root', async () => {
    const stranger = await createRegistryPlace();
    try {
      const impostor = await stranger.start('registry');
      const token = parseJoinToken(await tokenFor(registry, 'east'));
      const misled = formatJoinToken({ ...token, addresses: [impostor.join] });
      expect(await codeOf(redeem(misled))).to.equal('PEER_REFUSED');
      const both = formatJoinToken({ ...token, addresses: [impostor.join, registry.join] });
      expect(await codeOf(redeem(both))).to.equal('ok');
    } finally {
      await stranger.close();
    }
  });

  it('a token for one cluster makes nobody another, and stays good', async () => {
    const text = await tokenFor(registry, 'east');
    const claimed = { ...parseJoinToken(text), cluster: 'west' as ClusterName };
    expect(await codeOf(redeem(formatJoinToken(claimed)))).to.equal('CSR_REFUSED');
    expect(await codeOf(redeem(text))).to.equal('ok');
  });

  it('a member renews its own membership at a process that issues, and nobody else’s', async () => {
    const silent =
      storeOf().kind === 'etcd' ? await start('registry-3', { joins: false }) : undefined;
    const dir = await newDir();
    const svid = await redeem(await tokenFor(registry, 'east'), dir);
    const { roots } = await loadMemberCredentials(dir);
    const tls = () => meshRpcTls(svid, roots, exactly(registryId(SET)), Date.now);
    const key = generateSvidKey();
    const { signal } = new AbortController();
    const addresses = [...(silent === undefined ? [] : [silent.address]), registry.address];
    const renewed = await renewMembership(addresses, tls, createCsr(key, svid.id), signal);
    expect(parseSvid(renewed.chain, key).id).to.equal(svid.id);
    const west = createCsr(key, memberId(SET, 'west' as ClusterName));
    expect(await codeOf(renewMembership(addresses, tls, west, signal))).to.equal('CSR_REFUSED');
  });

  it('a cluster that leaves is out of the table at once and out for good, until a new token', async () => {
    const dir = await newDir();
    const svid = await redeem(await tokenFor(registry, 'east'), dir);
    const { roots } = await loadMemberCredentials(dir);
    const client = clientOf(svid, roots);
    const publish = (from: RegistryClient) =>
      from.publish({ puts: [configOf('east')], deletes: [] });
    await publish(client);
    const seen: string[] = [];
    const watching = codeOf(
      (async () => {
        for await (const update of client.watch(undefined, AbortSignal.timeout(20_000))) {
          seen.push(update.kind);
        }
      })(),
    );
    while (seen.length === 0) await sleep(10);
    await registry.operator
      .unary(createJoinToken, { cluster: 'east', ttlMs: HOUR, by: 'tester', rejoin: false })
      .then(
        () => expect.fail('a second east was admitted'),
        (error: unknown) => expect(isMeshError(error, 'REQUEST_INVALID')).to.equal(true),
      );
    const request = { cluster: 'east', by: 'tester', reason: 'moved' };
    const { records } = await registry.operator.unary(endMembership, request);
    expect(records).to.equal(1);
    expect(await watching).to.equal('MEMBERSHIP_ENDED');
    expect(await codeOf(publish(client))).to.equal('MEMBERSHIP_ENDED');
    client.close();

    const back = await newDir();
    const again = clientOf(await redeem(await tokenFor(registry, 'east'), back), roots);
    expect(await codeOf(publish(again))).to.equal('ok');
    again.close();
  });
}

describe('joining a ClusterSet', function () {
  this.timeout(60_000);

  describe('with the registry’s table in its own process', () =>
    suite(() => ({ kind: 'embedded' })));

  describe('with the registry’s table in etcd', () => {
    let etcd: Etcd;
    beforeEach(async () => {
      etcd = await startEtcd();
    });
    afterEach(() => etcd.stop());
    suite(() => ({ kind: 'etcd', endpoints: [etcd.address] }));
  });

  describe('a registry process', () => {
    let place: RegistryPlace;
    before(async () => {
      place = await createRegistryPlace();
    });
    after(() => place.close());

    it('makes no token where no cluster could join with it', async () => {
      const registry = await place.start('no-join', { joins: false });
      expect(await codeOf(tokenFor(registry, 'east'))).to.equal('REQUEST_INVALID');
    });
  });
});

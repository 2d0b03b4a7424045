/** What the agent signs for whom, over its real ports; and what it writes down when it does not. */

import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { AgentLinkOptions } from '../../../src/cluster-agent/client.ts';
import type { AuditEvent } from '../../../src/cluster-agent/trust/issuance-audit.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { requireSpiffeId, type SpiffeId } from '../../../src/mesh/spiffe-id.ts';
import { agentId } from '../../../src/mesh/system-identities.ts';
import { RpcChannel } from '../../../src/runtime/rpc-client.ts';
import { readStateFile } from '../../../src/runtime/state-file.ts';
import { certificateId } from '../../../src/trust-federation/authority/authority-journal.ts';
import { SvidLedger } from '../../../src/trust-federation/authority/svid-ledger.ts';
import { verifyJwtSvid } from '../../../src/trust-federation/identity/jwt-svid.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import { exactly } from '../../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../../src/trust-federation/peers/tls.ts';
import { createCsr } from '../../../src/trust-federation/x509/csr.ts';
import { keyPem, parseKeyFile } from '../../../src/trust-federation/x509/pem.ts';
import {
  JoinDefinition,
  WorkloadIdentityDefinition,
} from '../../../src/wire/generated/isthmus/identity/v1/identity.ts';
import { AgentOperatorDefinition } from '../../../src/wire/generated/isthmus/operator/v1/agent.ts';
import { meshErrorOf } from '../../runtime/rejection.ts';
import { useTempDir } from '../../runtime/temp-dir.ts';
import { FakeRegistry } from '../fake-registry.ts';
import {
  debugOf,
  joinProxy,
  prepareProxy,
  type RunningAgent,
  type RunningLink,
  startAgent,
  startLink,
  TRUST_DOMAIN,
  WEB,
} from '../harness.ts';

const OTHER = requireSpiffeId('spiffe://east.example/ns/shop/sa/other');

describe('the agent’s identity service', () => {
  let agent: RunningAgent;
  /** When the agent's clock stands still. */
  let stoppedMs: number | undefined;
  const links: RunningLink[] = [];

  afterEach(async () => {
    await Promise.all(links.splice(0).map(link => link.stop()));
    await agent.stop();
  });
  const dir = useTempDir();

  beforeEach(async () => {
    stoppedMs = undefined;
    const now = (): number => stoppedMs ?? Date.now();
    agent = await startAgent({ dir: dir(), registry: new FakeRegistry(), now });
  });

  const joined = async (): Promise<RunningLink> => {
    const running = await joinProxy({ dir: dir(), agent, name: 'web-0' });
    links.push(running);
    return running;
  };
  const audit = () => debugOf<AuditEvent[]>(agent, 'audit');
  const channelOf = ({ link }: RunningLink): RpcChannel => {
    const roots = link.bundles.get(TRUST_DOMAIN);
    if (roots === undefined) throw new Error('no roots');
    const current = link.identity.current();
    const tls = meshRpcTls(current, roots, exactly(agentId(TRUST_DOMAIN)), Date.now);
    return new RpcChannel(WorkloadIdentityDefinition, { address: agent.addresses.control, tls });
  };
  const renew = async (link: RunningLink, id: SpiffeId): Promise<number> => {
    const channel = channelOf(link);
    try {
      const csr = createCsr(generateSvidKey(), id);
      return (await channel.unary(WorkloadIdentityDefinition.methods.renew, { csr })).chain.length;
    } finally {
      channel.close();
    }
  };

  it('signs the next certificate of the caller, and an audited refusal is all that others get', async () => {
    const web = await joined();
    expect(await renew(web, WEB)).to.equal(2);
    const refused = [
      OTHER,
      agentId(TRUST_DOMAIN),
      requireSpiffeId('spiffe://west.example/ns/shop/sa/web'),
      requireSpiffeId('spiffe://east.example/ns/other/sa/web'),
    ];
    for (const id of refused) {
      await meshErrorOf(renew(web, id), 'CSR_REFUSED');
    }
    const events = await audit();
    expect(events.map(({ asked }) => asked).reverse()).to.deep.equal(refused);
    for (const event of events) {
      expect(event).to.include({ method: 'renew', who: WEB, code: 'CSR_REFUSED' });
      expect(event.why).to.include(event.asked);
    }
  });

  it('issues JWT-SVIDs of the caller that its cluster’s bundle proves', async () => {
    const { link } = await joined();
    const { token, expiresMs } = await link.jwtSvid(['payments', 'ledger']);
    const verdict = verifyJwtSvid(token, 'ledger', link.bundles, Date.now());
    expect(verdict).to.include({ kind: 'accepted', id: WEB, expiresMs });
    expect(expiresMs - Date.now()).to.be.within(240_000, 300_000);
    await meshErrorOf(link.jwtSvid([]), 'REQUEST_INVALID');
    await meshErrorOf(link.jwtSvid(['']), 'REQUEST_INVALID');
    const [event] = await audit();
    expect(event).to.include({ method: 'jwt-svid', who: WEB, code: 'REQUEST_INVALID' });
  });

  it('stops an identity that asks without end, and no other', async () => {
    const channel = channelOf(await joined());
    const { issueJwtSvid } = WorkloadIdentityDefinition.methods;
    // Or what it may ask for would grow while it asks, and more the slower the machine is.
    stoppedMs = Date.now();
    const codes = await Promise.all(
      Array.from({ length: 900 }, () =>
        channel.unary(issueJwtSvid, { audience: ['a'] }, { deadlineMs: 15_000 }).then(
          () => 'ok',
          (error: unknown) => (isMeshError(error) ? error.code : String(error)),
        ),
      ),
    );
    channel.close();
    expect([...new Set(codes)].sort()).to.deep.equal(['LIMIT_EXCEEDED', 'ok']);
    const other = await joinProxy({ dir: dir(), agent, name: 'other-0', id: OTHER });
    links.push(other);
    expect((await other.link.jwtSvid(['a'])).token).to.be.a('string');
  });

  it('takes no Kubernetes token where no API server is configured, and says so', async () => {
    const options = await prepareProxy({ dir: dir(), agent, name: 'web-1' });
    const roots = (await joined()).link.bundles.get(TRUST_DOMAIN);
    if (roots === undefined) throw new Error('no roots');
    const tls = meshRpcTls(undefined, roots, exactly(agentId(TRUST_DOMAIN)), Date.now);
    const channel = new RpcChannel(JoinDefinition, { address: agent.addresses.join, tls });
    const redeem = channel.unary(JoinDefinition.methods.redeem, {
      credential: { $case: 'kubernetesToken', value: 'token' },
      csr: createCsr(generateSvidKey(), WEB),
    });
    await meshErrorOf(redeem, 'REQUEST_INVALID');
    channel.close();
    const [event] = await audit();
    expect(event).to.include({ method: 'redeem', asked: WEB, who: '127.0.0.1' });
    links.push(await startLink(options));
  });

  it('asks again with the same key after a crash that lost the answer', async () => {
    const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
    const tokenFile = join(options.stateDir, 'join-token');
    const identity = join(options.stateDir, 'identity');
    const token = await readFile(tokenFile);
    const { key } = parseKeyFile('', await identityAfterStart(options));
    // As it was before the answer came: the key alone, and the token.
    await rm(join(identity, 'identity.pem'));
    await writeFile(join(identity, 'pending-key.pem'), keyPem(key), { mode: 0o600 });
    await writeFile(tokenFile, token, { mode: 0o600 });
    const again = parseKeyFile('', await identityAfterStart(options));
    expect(again.key.equals(key)).to.equal(true);
    // Another key is another caller.
    await rm(join(identity, 'identity.pem'));
    await writeFile(tokenFile, token, { mode: 0o600 });
    await meshErrorOf(startLink(options), 'TOKEN_USED');
  });

  const identityAfterStart = async (options: AgentLinkOptions): Promise<Buffer> => {
    await (await startLink(options)).stop();
    return readFile(join(options.stateDir, 'identity', 'identity.pem'));
  };

  it('has a certificate on disk before its holder has it while a rollover is under way', async () => {
    const { socket } = await debugOf<{ socket: string }>(agent, 'operator');
    const operator = new RpcChannel(AgentOperatorDefinition, { socketPath: socket });
    await operator.unary(AgentOperatorDefinition.methods.startRollover, { auto: false });
    operator.close();
    const [leaf] = (await joined()).link.identity.current().chain;
    const saved = await readStateFile(join(dirname(socket), 'authority', 'issued'));
    const ledger = new SvidLedger({ entriesMax: 100, now: Date.now, onChange: () => undefined });
    ledger.restore(saved ?? Buffer.alloc(0));
    expect(ledger.alive().map(({ sha256 }) => sha256)).to.include(certificateId(leaf!));
  });
});

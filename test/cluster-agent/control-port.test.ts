/** Who may call the control port, and for whom it signs. */

import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { requireSpiffeId, type SpiffeId } from '../../src/mesh/spiffe-id.ts';
import { agentId } from '../../src/mesh/system-identities.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { generateSvidKey, parseSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import { createCsr } from '../../src/trust-federation/x509/csr.ts';
import { WorkloadIdentityDefinition } from '../../src/wire/generated/isthmus/identity/v1/identity.ts';
import { meshErrorOf } from '../runtime/rejection.ts';
import { useTempDir } from '../runtime/temp-dir.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';
import { FakeRegistry } from './fake-registry.ts';
import {
  joinProxy,
  type RunningAgent,
  type RunningLink,
  startAgent,
  TRUST_DOMAIN,
  WEB,
} from './harness.ts';

describe('the control port', () => {
  let agent: RunningAgent;
  let sidecar: RunningLink;
  let svid: Svid;
  let roots: TrustBundle;

  afterEach(async () => {
    await sidecar.stop();
    await agent.stop();
  });
  const dir = useTempDir();
  beforeEach(async () => {
    agent = await startAgent({ dir: dir(), registry: new FakeRegistry() });
    sidecar = await joinProxy({ dir: dir(), agent, name: 'web-0' });
    svid = sidecar.link.identity.current();
    const bundle = sidecar.link.bundles.get(TRUST_DOMAIN);
    if (bundle === undefined) throw new Error('no bundle');
    roots = bundle;
  });

  async function renew(caller: Svid, id: SpiffeId): Promise<Svid> {
    const tls = meshRpcTls(caller, roots, exactly(agentId(TRUST_DOMAIN)), () => Date.now());
    const { control } = agent.addresses;
    const channel = new RpcChannel(WorkloadIdentityDefinition, { address: control, tls });
    const key = generateSvidKey();
    try {
      const { renew: method } = WorkloadIdentityDefinition.methods;
      const { chain } = await channel.unary(method, { csr: createCsr(key, id) });
      return parseSvid(chain, key);
    } finally {
      channel.close();
    }
  }

  it('renews the identity of the caller', async () => {
    const renewed = await renew(svid, WEB);
    expect(renewed.id).to.equal(WEB);
    expect(await renew(renewed, WEB)).to.include({ id: WEB });
  });

  it('signs nothing for another identity', async () => {
    const other = requireSpiffeId('spiffe://east.example/ns/shop/sa/checkout');
    await meshErrorOf(renew(svid, other), 'CSR_REFUSED');
    await meshErrorOf(renew(svid, agentId(TRUST_DOMAIN)), 'CSR_REFUSED');
  });

  it('hears nobody of another trust domain', async () => {
    const foreign = testSvid(testAuthority('west.example'), 'ns/shop/sa/web', Date.now());
    await meshErrorOf(renew(foreign, foreign.id), 'PEER_UNAVAILABLE');
  });

  it('hears nobody who claims our trust domain from an authority of his own', async () => {
    const forged = testSvid(testAuthority('east.example'), 'ns/shop/sa/web', Date.now());
    expect(forged.id).to.equal(WEB);
    await meshErrorOf(renew(forged, WEB), 'PEER_UNAVAILABLE');
  });
});

/**
 * An agent that suddenly says much less, by mistake and on purpose: only the second takes anything from
 * its proxies.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { AgentLinkOptions } from '../../src/cluster-agent/client.ts';
import { upstreamName } from '../../src/mesh/upstream.ts';
import { useTempDir } from '../runtime/temp-dir.ts';
import { FakeRegistry } from './fake-registry.ts';
import {
  eventually,
  prepareProxy,
  type RunningAgent,
  type RunningLink,
  startAgent,
  startLink,
} from './harness.ts';

const CART = upstreamName('cart.shop.svc.clusterset.local', 80);
const CART_HOST = 'cart.shop.svc.clusterset.local';

function services(...carts: readonly string[]): string {
  const endpoints = carts.map(
    (workload, i) =>
      `{ workload: ${workload}, serviceAccount: cart, sidecar: 127.0.0.1:${1000 + i} }`,
  );
  return `services:
  - { name: cart, namespace: shop, export: true, ports: [{ port: 80, protocol: http }], endpoints: [${endpoints.join(', ')}] }
  - { name: web, namespace: shop, ports: [{ port: 80, protocol: http }], endpoints: [] }
`;
}

describe('an agent that says less than before', () => {
  const registry = new FakeRegistry();
  let agent: RunningAgent;
  let options: AgentLinkOptions;
  let sidecar: RunningLink;

  afterEach(async () => {
    await sidecar.stop();
    await agent.stop();
  });
  const dir = useTempDir();

  beforeEach(async () => {
    await writeFile(join(dir(), 'services.yaml'), services('cart-0', 'cart-1', 'cart-2', 'cart-3'));
    agent = await startAgent({ dir: dir(), registry });
    options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
    sidecar = await startLink(options);
    await eventually('cart', () => sidecar.link.hosts.entries().has(CART_HOST));
    expect(carts()).to.have.length(4);
  });

  function carts(): string[] {
    return (sidecar.link.upstreams.get(CART)?.endpoints ?? []).map(({ workload }) => workload);
  }

  /** Down, and up again with another services file: it has not seen anything go. */
  async function restartAgentWith(content: string): Promise<void> {
    await agent.stop();
    await writeFile(join(dir(), 'services.yaml'), content);
    agent = await startAgent({ dir: dir(), registry, addresses: agent.addresses });
  }

  it('takes nine tenths of a service away at once when its owner says so', async () => {
    await writeFile(join(dir(), 'services.yaml'), services('cart-3'));
    await eventually('scale-down', () => carts().join() === 'cart-3');
    expect(sidecar.link.held.entries().size).to.equal(0);
  });

  it('takes a whole service away when its owner says so', async () => {
    await writeFile(join(dir(), 'services.yaml'), 'services: []\n');
    await eventually('no host', () => !sidecar.link.hosts.entries().has(CART_HOST));
    await eventually('no endpoints', () => carts().length === 0);
    expect(sidecar.link.held.entries().size).to.equal(0);
  });

  it('takes nothing when it comes back knowing nothing', async () => {
    await restartAgentWith('services: []\n');
    await eventually('held', () => sidecar.link.held.entries().size > 0);
    expect(carts()).to.have.length(4);
    expect(sidecar.link.hosts.get(CART_HOST)).to.equal(CART);
  });

  it('takes nothing when it comes back knowing part of it, and its news count at once', async () => {
    await restartAgentWith(services('cart-9'));
    await eventually('news', () => carts().includes('cart-9'));
    expect(carts()).to.have.members(['cart-0', 'cart-1', 'cart-2', 'cart-3', 'cart-9']);
  });

  it('has what is kept given up endpoint by endpoint, as they prove to be gone', async () => {
    await restartAgentWith(services('cart-3'));
    await eventually('held', () => sidecar.link.held.entries().size > 0);
    for (const { hash } of sidecar.link.held.get(CART) ?? []) {
      sidecar.link.foundUnreachable(CART, hash);
    }
    expect(carts()).to.deep.equal(['cart-3']);
    expect(sidecar.link.held.get(CART)).to.equal(undefined);
  });

  it('is forgiven as soon as it says everything again', async () => {
    await restartAgentWith('services: []\n');
    await eventually('held', () => sidecar.link.held.entries().size > 0);
    await writeFile(join(dir(), 'services.yaml'), services('cart-0', 'cart-1', 'cart-2', 'cart-3'));
    await eventually('forgiven', () => sidecar.link.held.entries().size === 0);
    expect(carts()).to.have.length(4);
  });

  it('leaves on disk what was there before, for a proxy that restarts meanwhile', async () => {
    const file = join(options.stateDir, 'last-known-good');
    await eventually('routes on disk', async () =>
      (await readFile(file).catch(() => Buffer.alloc(0))).includes('clusterset:80'),
    );
    await restartAgentWith('services: []\n');
    await eventually('held', () => sidecar.link.held.entries().size > 0);
    await sidecar.stop();
    await agent.stop();
    sidecar = await startLink(options);
    expect(carts()).to.have.length(4);
  });
});

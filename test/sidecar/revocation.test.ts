/**
 * Long connections between sidecars while trust changes under them: what is revoked ends at once, on the
 * side that hears of it, and nothing else does.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import {
  announce,
  type RunningSidecar,
  received,
  type TestLink,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';
import { adminJson, metricsOf, type Pair, type Path, startPair } from './pair.ts';

type Refusals = { reason: string; id?: string; port: string; chain: string[] }[];

for (const path of ['direct', 'gateway'] as const satisfies readonly Path[]) {
  describe(`a revocation, seen by sidecars that are joined ${path}`, () => {
    let mesh: TestMesh;
    let pair: Pair;
    /** Another workload of east that calls the same service. */
    let cart: RunningSidecar;
    beforeEach(async () => {
      mesh = new TestMesh('east', 'west');
      const application = await mesh.application(socket => socket.pipe(socket));
      pair = await startPair(mesh, { protocol: 'tcp', application, path });
      cart = await mesh.sidecar({ cluster: 'east', workload: 'cart', tcp: ['payments'] });
      announce(cart.link, 'payments', 'tcp', [
        testEndpoint(mesh, 'payments', {
          cluster: 'west',
          workload: 'payments',
          addresses: [pair.gateway?.address ?? pair.payments.inbound],
          path,
        }),
      ]);
    });
    afterEach(() => mesh.stop());

    /** A connection that stays open, and has shown that it works. */
    async function conversation(caller: RunningSidecar): Promise<Socket> {
      const socket = connect(caller.outboundTcp[0]!);
      socket.on('error', () => undefined);
      await echoes(socket);
      return socket;
    }
    async function echoes(socket: Socket): Promise<void> {
      socket.write('x');
      expect(String((await once(socket, 'data'))[0])).to.equal('x');
    }
    async function ended(socket: Socket): Promise<void> {
      await received(socket);
    }
    async function works(caller: RunningSidecar): Promise<boolean> {
      const socket = connect(caller.outboundTcp[0]!);
      socket.on('error', () => undefined);
      socket.write('x');
      return new Promise(resolve => {
        socket.once('data', () => resolve(true));
        socket.once('close', () => resolve(false));
      });
    }
    function change(link: TestLink, cluster: string, more: Partial<TrustBundle>): void {
      const { trustDomain } = mesh.authority(cluster);
      const before = link.bundles.get(trustDomain)!;
      link.bundles.put(trustDomain, { ...before, sequence: before.sequence + 1, ...more });
    }

    it("of the caller's identity ends its connections at the callee, and no one else's", async () => {
      const [web, other] = [await conversation(pair.web), await conversation(cart)];
      const { id } = pair.web.link.identity.current();
      change(pair.payments.link, 'east', { revoked: [id] });
      await ended(web);
      await echoes(other);
      expect(await works(pair.web)).to.equal(false);
      expect(await works(cart)).to.equal(true);
      expect(await metricsOf(pair.payments)).to.match(/reason="revoked"[^}]*\} [1-9]/);
      const refusals = (await adminJson(pair.payments, '/debug/refusals')) as Refusals;
      expect(refusals[0]).to.include({ reason: 'revoked', id, port: 'inbound' });
      expect(refusals[0]?.chain[0]).to.match(
        /^spiffe:\/\/east\.example\/ns\/shop\/sa\/web, sha256/,
      );
      change(pair.payments.link, 'east', { revoked: [] });
      expect(await works(pair.web)).to.equal(true);
    });

    it("of the callee's identity ends connections to it at the caller that hears of it", async () => {
      const [web, other] = [await conversation(pair.web), await conversation(cart)];
      const { id } = pair.payments.link.identity.current();
      change(pair.web.link, 'west', { revoked: [id] });
      await ended(web);
      await echoes(other);
      expect(await works(pair.web)).to.equal(false);
      const refusals = (await adminJson(pair.web, '/debug/refusals')) as Refusals;
      expect(refusals[0]).to.include({ reason: 'revoked', id, port: 'outbound' });
      change(pair.web.link, 'west', { revoked: [] });
      expect(await works(pair.web)).to.equal(true);
    });

    it('of a whole trust domain, by an empty bundle, ends all of its connections', async () => {
      const all = [await conversation(pair.web), await conversation(cart)];
      change(pair.payments.link, 'east', { x509Authorities: [] });
      await Promise.all(all.map(ended));
      expect(await works(pair.web)).to.equal(false);
      change(pair.payments.link, 'east', mesh.authority('east').bundle);
      expect(await works(pair.web)).to.equal(true);
    });

    it('reaches streams of sessions that were retired before it', async () => {
      const web = await conversation(pair.web);
      pair.web.link.identity.rotate(mesh.svid('east', 'web'));
      await echoes(web);
      change(pair.web.link, 'west', { revoked: [pair.payments.link.identity.current().id] });
      await ended(web);
    });

    it('is not what a missing bundle means: connections go on, new ones wait for news', async () => {
      const web = await conversation(pair.web);
      pair.payments.link.bundles.delete(mesh.authority('east').trustDomain);
      pair.web.link.bundles.delete(mesh.authority('west').trustDomain);
      await echoes(web);
      expect(await works(pair.web)).to.equal(false);
    });

    it('is not what the retirement of a root means: long streams made under it live on', async () => {
      const web = await conversation(pair.web);
      const next = testAuthority('east.example', Date.now());
      change(pair.payments.link, 'east', { x509Authorities: next.bundle.x509Authorities });
      const nextWest = testAuthority('west.example', Date.now());
      change(pair.web.link, 'west', { x509Authorities: nextWest.bundle.x509Authorities });
      await echoes(web);
      expect(await works(cart)).to.equal(false);
      const nowMs = Date.now();
      cart.link.identity.rotate(testSvid(next, 'ns/shop/sa/cart', nowMs));
      expect(await works(cart)).to.equal(true);
      await echoes(web);
    });
  });
}

/** Clocks that differ, and a clock that steps: real handshakes, injected clocks. */

import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { pino } from 'pino';
import { Table } from '../../src/mesh/collection.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { rpcService } from '../../src/runtime/rpc-server.ts';
import { anyIdentity, exactly } from '../../src/trust-federation/peers/authorizer.ts';
import {
  type ConnectionRefused,
  PeerListener,
} from '../../src/trust-federation/peers/peer-listener.ts';
import { RpcListener } from '../../src/trust-federation/peers/rpc-listener.ts';
import { meshRpcTls, unverifiedClientTls } from '../../src/trust-federation/peers/tls.ts';
import { verifyPeer } from '../../src/trust-federation/peers/verify.ts';
import { JoinDefinition } from '../../src/wire/generated/isthmus/identity/v1/identity.ts';
import { DAY_MS, HOUR_MS, NOW, testAuthority, testSvid } from './pki.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

describe('clocks', () => {
  const authority = testAuthority('a.example', NOW - DAY_MS);
  const bundles = new Map([[authority.trustDomain, authority.bundle]]);
  /** What a peer makes of an SVID that was just issued, when its clock differs by this. */
  const verdictAt = (skewMs: number): string => {
    const { chain } = testSvid(authority, 'ns/shop/sa/cart', NOW);
    const verdict = verifyPeer(chain, bundles, anyIdentity, NOW + skewMs);
    return verdict.kind === 'accepted' ? verdict.kind : verdict.message;
  };

  for (const skewMs of [-20, -1, 0, 20, 59].map(seconds => seconds * SECOND_MS)) {
    it(`that differ by ${skewMs / SECOND_MS} s are not noticed`, () => {
      expect(verdictAt(skewMs)).to.equal('accepted');
    });
  }

  it('that differ by more are named, both of them, and by how much', () => {
    expect(verdictAt(-3 * MINUTE_MS)).to.match(
      /valid from 2026-07-01T11:59:00\.000Z; the clock here says 2026-07-01T11:57:00\.000Z, 2 min earlier: .* behind the clock of the issuer/,
    );
    expect(verdictAt(-DAY_MS)).to.match(/2026-06-30T12:00:00\.000Z, 24 h earlier/);
    expect(verdictAt(DAY_MS)).to.match(
      /expired at 2026-07-01T13:00:00\.000Z; the clock here says 2026-07-02T12:00:00\.000Z, 23 h later/,
    );
  });

  describe('of a listener', () => {
    const stops: (() => Promise<void>)[] = [];
    afterEach(() => Promise.all(stops.splice(0).map(stop => stop())));

    it('may be set back an hour: what was valid before stays so; what never was does not', async () => {
      const startMs = Date.now();
      const A = testAuthority('a.example', startMs - DAY_MS);
      const table = new Table<TrustDomain, TrustBundle>('bundles');
      table.put(A.trustDomain, A.bundle);
      const server = testSvid(A, 'ns/shop/sa/web', startMs);
      let stepMs = 0;
      let accepted = 0;
      const refusals: ConnectionRefused[] = [];
      const listener = new PeerListener({
        identity: { current: () => server, observe: () => () => undefined },
        admission: {
          kind: 'peers',
          bundles: table,
          authorize: anyIdentity,
          onPeer: socket => {
            accepted += 1;
            socket.end();
          },
        },
        connectionsMax: 10,
        handshakeMsMax: 5_000,
        onRefused: refusal => refusals.push(refusal),
        now: () => Date.now() + stepMs,
      });
      const address = await listener.listen({ host: '127.0.0.1', port: 0 });
      stops.push(() => listener.close());
      const knock = async (issuedMs: number): Promise<void> => {
        const svid = testSvid(A, 'ns/shop/sa/cart', issuedMs);
        const socket = connectTls({
          ...address,
          ...unverifiedClientTls(svid, A.bundle),
          ALPNProtocols: ['h2'],
        });
        socket.on('error', () => undefined).resume();
        await new Promise(resolve => socket.once('close', resolve));
      };
      await knock(startMs);
      expect(accepted).to.equal(1);
      stepMs = -HOUR_MS;
      await knock(startMs);
      expect(accepted).to.equal(2);
      await knock(startMs + 2 * HOUR_MS);
      expect(accepted).to.equal(2);
      expect(refusals.map(({ reason }) => reason)).to.deep.equal(['not-yet-valid']);
      expect(refusals[0]?.message).to.match(/the clock here says .* earlier/);
    });

    it('is not the wall clock alone: gRPC sees whom the door let in, though OpenSSL finds him too early', async () => {
      const A = testAuthority('a.example', Date.now());
      const table = new Table<TrustDomain, TrustBundle>('bundles');
      table.put(A.trustDomain, A.bundle);
      const server = testSvid(A, 'ns/shop/sa/web', Date.now());
      // Issued in an hour that the wall clock has left again, and the steady clock has not.
      const client = testSvid(A, 'ns/shop/sa/cart', Date.now() + HOUR_MS);
      const stop = new AbortController();
      const listener = new RpcListener({
        name: 'test',
        identity: { current: () => server, observe: () => () => undefined },
        clients: { bundles: table, authorize: anyIdentity },
        services: [
          rpcService(JoinDefinition, {
            redeem: (_, { peerCertificate }) =>
              Promise.resolve({ chain: peerCertificate === undefined ? [] : [peerCertificate] }),
          }),
        ],
        limits: { connectionsMax: 10, handshakeMsMax: 5_000, stopGraceMs: 0 },
        onRefused: () => undefined,
        log: pino({ level: 'silent' }),
        now: () => Date.now() + HOUR_MS,
      });
      const address = await listener.listen({ host: '127.0.0.1', port: 0 });
      const running = listener.run(stop.signal);
      stops.push(() => {
        stop.abort();
        return running;
      });
      const tls = meshRpcTls(client, A.bundle, exactly(server.id), () => Date.now());
      const channel = new RpcChannel(JoinDefinition, { address, tls });
      try {
        const request = { credential: undefined, csr: Buffer.alloc(0) };
        const { chain } = await channel.unary(JoinDefinition.methods.redeem, request);
        expect(chain).to.deep.equal([client.chain[0]]);
      } finally {
        channel.close();
      }
    });
  });
});

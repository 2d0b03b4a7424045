/** The TLS settings against real handshakes: what OpenSSL lets through, and what the door does not. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { expect } from 'chai';
import { isMeshError } from '../../../src/mesh/errors.ts';
import type { TrustDomain } from '../../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import { parseSvid, type Svid } from '../../../src/trust-federation/identity/svid.ts';
import { anyIdentity, exactly } from '../../../src/trust-federation/peers/authorizer.ts';
import {
  anonymousServerTls,
  meshClientTls,
  meshServerTls,
  peerChain,
} from '../../../src/trust-federation/peers/tls.ts';
import { type PeerVerdict, verifyPeer } from '../../../src/trust-federation/peers/verify.ts';
import { forgeCertificate, LEAF_EXTENSIONS, names, testAuthority, testSvid } from '../pki.ts';

const A = testAuthority('a.example', Date.now());
const B = testAuthority('b.example', Date.now());
const SERVER = testSvid(A, 'ns/shop/sa/server', Date.now());
const CLIENT = testSvid(A, 'ns/shop/sa/client', Date.now());
const OTHER = testSvid(B, 'ns/shop/sa/client', Date.now());
const BUNDLES: ReadonlyMap<TrustDomain, TrustBundle> = new Map([
  [A.trustDomain, A.bundle],
  [B.trustDomain, B.bundle],
]);

interface Outcome {
  /** As the server saw the client; undefined when OpenSSL refused it first. */
  readonly peer: PeerVerdict | undefined;
  readonly presented: number;
  readonly reused: boolean;
  /** Whether the server let the client in, as the client knows it. */
  readonly greeted: boolean;
  readonly session: Buffer | undefined;
  /** Why the client gave up. */
  readonly error: Error | undefined;
}

/** A server that greets whom it lets in, so that a client knows both directions stood. */
class Server {
  readonly #server: tls.Server;
  #last: { peer: PeerVerdict; presented: number } | undefined;
  lastSocket: tls.TLSSocket | undefined;

  constructor(options: tls.TlsOptions) {
    this.#server = tls.createServer(options, socket => {
      socket.on('error', () => undefined);
      const chain = peerChain(socket);
      const peer = verifyPeer(chain, BUNDLES, anyIdentity, Date.now());
      this.#last = { peer, presented: chain.length };
      this.lastSocket = socket;
      socket.end('hello');
    });
    this.#server.listen(0, '127.0.0.1');
  }

  trust(options: tls.TlsOptions): void {
    this.#server.setSecureContext(options);
  }

  async meet(options: tls.ConnectionOptions): Promise<Outcome> {
    if (!this.#server.listening) await once(this.#server, 'listening');
    this.#last = undefined;
    const { port } = this.#server.address() as AddressInfo;
    const socket = tls.connect({ host: '127.0.0.1', port, ...options });
    let session: Buffer | undefined;
    let error: Error | undefined;
    let reused = false;
    socket.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    socket.on('error', (cause: Error) => {
      error = cause;
    });
    socket.on('secureConnect', () => {
      reused = socket.isSessionReused();
    });
    let greeted = false;
    socket.on('data', () => {
      greeted = true;
    });
    await new Promise(resolve => socket.once('close', resolve));
    const { peer, presented } = this.#lastMet();
    return { peer, presented, reused, greeted, session, error };
  }

  #lastMet(): Pick<Outcome, 'peer' | 'presented'> {
    return this.#last ?? { peer: undefined, presented: 0 };
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** What a server is called decides nothing, however it is written (CVE-2026-48928). */
for (const servername of ['x.internal', 'X.INTERNAL']) {
  describe(`mesh TLS, asked for as "${servername}"`, () => {
    const servers: Server[] = [];
    function serve(options: tls.TlsOptions): Server {
      const server = new Server(options);
      servers.push(server);
      return server;
    }
    afterEach(() => Promise.all(servers.splice(0).map(server => server.close())));

    const client = (
      svid: Svid | undefined,
      authorize = exactly(SERVER.id),
    ): tls.ConnectionOptions => ({
      servername,
      ...meshClientTls(svid, A.bundle, authorize, Date.now),
    });

    it('joins two workloads, each knowing the other by its whole chain', async () => {
      const { peer, presented, error } = await serve(meshServerTls(SERVER, BUNDLES.values())).meet(
        client(CLIENT),
      );
      expect(error).to.equal(undefined);
      expect(peer).to.include({ kind: 'accepted', id: CLIENT.id });
      expect(presented).to.be.within(2, 3);
    });

    it('knows no chain of a peer that has gone', async () => {
      const server = serve(meshServerTls(SERVER, BUNDLES.values()));
      expect((await server.meet(client(CLIENT))).presented).to.be.above(0);
      server.lastSocket?.destroy();
      expect(server.lastSocket && peerChain(server.lastSocket)).to.deep.equal([]);
    });

    it('joins workloads of two trust domains', async () => {
      const { peer, error } = await serve(meshServerTls(SERVER, BUNDLES.values())).meet(
        client(OTHER),
      );
      expect(error).to.equal(undefined);
      expect(peer).to.include({ kind: 'accepted', id: OTHER.id });
    });

    it('lets no client in without a certificate, but on the join port', async () => {
      const refused = await serve(meshServerTls(SERVER, BUNDLES.values())).meet(client(undefined));
      expect(refused).to.include({ peer: undefined, greeted: false });
      const joined = await serve(anonymousServerTls(SERVER)).meet(client(undefined));
      expect(joined).to.include({ greeted: true, error: undefined });
      expect(joined.peer).to.include({ reason: 'chain-empty' });
    });

    it('is TLS 1.3 or nothing', async () => {
      const server = serve(meshServerTls(SERVER, BUNDLES.values()));
      const old = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
      expect((await server.meet({ ...client(CLIENT), ...old })).error).to.be.instanceOf(Error);
      expect((await server.meet(client(CLIENT))).error).to.equal(undefined);
    });

    it('fails the client handshake when the server is not who was asked for', async () => {
      const server = serve(meshServerTls(SERVER, BUNDLES.values()));
      const { error } = await server.meet(client(CLIENT, exactly(OTHER.id)));
      expect(isMeshError(error, 'PEER_REFUSED')).to.equal(true);
      expect(error).to.have.nested.property('details.reason', 'not-authorized');
      expect((await server.meet(client(CLIENT))).error).to.equal(undefined);
    });

    it('with an empty bundle trusts nobody, on either side', async () => {
      const empty = { ...A.bundle, x509Authorities: [] };
      const open = serve(meshServerTls(SERVER, BUNDLES.values()));
      const { error } = await open.meet(meshClientTls(CLIENT, empty, anyIdentity, Date.now));
      expect(error).to.be.instanceOf(Error);
      const shut = await serve(meshServerTls(SERVER, [empty])).meet(client(CLIENT));
      expect(shut).to.include({ peer: undefined, greeted: false });
      expect((await open.meet(client(CLIENT))).peer).to.include({ kind: 'accepted' });
    });

    it('passes B by OpenSSL when A root signed it, and the door refuses it', async () => {
      const forgedBy = (signer: typeof A.root): Svid => {
        const leaf = forgeCertificate({
          signer,
          key: CLIENT.key,
          notBeforeMs: Date.now() - 60_000,
          notAfterMs: Date.now() + 60_000,
          extensions: [...LEAF_EXTENSIONS, names([6, OTHER.id])],
        });
        return parseSvid([leaf], CLIENT.key);
      };
      const server = serve(meshServerTls(SERVER, BUNDLES.values()));
      const forged = await server.meet(client(forgedBy(A.root)));
      expect(forged.error, 'OpenSSL sees nothing wrong').to.equal(undefined);
      expect(forged.peer).to.include({ kind: 'refused', reason: 'untrusted', id: OTHER.id });
      const honest = await server.meet(client(forgedBy(B.root)));
      expect(honest.peer).to.include({ kind: 'accepted', id: OTHER.id });
    });

    describe('resumption', () => {
      /** Without a new full handshake a ticket from before would carry its holder past the new roots. */
      async function visitTwice(
        options: (bundles: Iterable<TrustBundle>) => tls.TlsOptions,
      ): Promise<{ first: Outcome; resumed: Outcome; server: Server }> {
        const server = serve(options(BUNDLES.values()));
        const first = await server.meet(client(OTHER));
        server.trust(options([A.bundle]));
        const { session } = first;
        return {
          first,
          server,
          resumed: await server.meet({ ...client(OTHER), ...(session && { session }) }),
        };
      }

      it('does not outlive a removed root', async () => {
        const { first, resumed, server } = await visitTwice(bundles =>
          meshServerTls(SERVER, bundles),
        );
        expect(first.peer).to.include({ kind: 'accepted', id: OTHER.id });
        expect(first.session, 'the client has something to resume').to.be.instanceOf(Buffer);
        expect(resumed).to.include({ peer: undefined, reused: false, greeted: false });
        const still = await server.meet(client(CLIENT));
        expect(still.peer).to.include({ kind: 'accepted', id: CLIENT.id });
      });

      it('would outlive it with tickets, which is why there are none', async () => {
        const ticketKeys = randomBytes(48);
        const { resumed } = await visitTwice(bundles => ({
          ...meshServerTls(SERVER, bundles),
          secureOptions: 0,
          ticketKeys,
        }));
        expect(resumed).to.include({ reused: true, greeted: true });
      });

      it('never happens, also with the roots unchanged', async () => {
        const server = serve(meshServerTls(SERVER, BUNDLES.values()));
        const { session } = await server.meet(client(CLIENT));
        for (const other of [servername, 'another.internal']) {
          const resuming = { ...client(CLIENT), servername: other, ...(session && { session }) };
          const again = await server.meet(resuming);
          expect(again).to.include({ reused: false, greeted: true });
          expect(again.peer).to.include({ kind: 'accepted', id: CLIENT.id });
        }
      });
    });
  });
}

/** Renewal on a manual clock: when, with what, and what a failure may cost. */

import { createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import { pino } from 'pino';
import { MeshError } from '../../../src/mesh/errors.ts';
import { IdentityKeeper } from '../../../src/trust-federation/identity/identity-keeper.ts';
import type { Svid } from '../../../src/trust-federation/identity/svid.ts';
import { issueLeaf } from '../../../src/trust-federation/x509/certificate.ts';
import { parseCsr } from '../../../src/trust-federation/x509/csr.ts';
import { HOUR_MS, NOW, testAuthority, testSvid } from '../pki.ts';

const A = testAuthority('a.example');
const FIRST = testSvid(A);

/** A keeper on a manual clock: `sleep` moves it, and the run ends at `untilMs`. */
class Scene {
  now = NOW;
  monotonic = 0;
  /** How far the wall clock is set back during the next wait. */
  stepBackMs = 0;
  readonly #stop = new AbortController();
  readonly asked: { readonly atMs: number; readonly key: string }[] = [];
  readonly saved: Svid[] = [];
  readonly keeper: IdentityKeeper;
  /** Thrown by the next attempts, first to last. */
  failures: Error[] = [];
  saveFails = false;
  id = FIRST.id;
  ttlMs = HOUR_MS;

  constructor(random = 0.5, initial = FIRST) {
    this.keeper = new IdentityKeeper({
      initial,
      obtain: async csr => this.#issue(csr),
      save: async svid => {
        if (this.saveFails) throw new Error('no space left on device');
        this.saved.push(svid);
      },
      log: pino({ level: 'silent' }),
      now: () => this.now,
      random: () => random,
      monotonic: () => this.monotonic,
      sleep: async ms => {
        this.now += ms - this.stepBackMs;
        this.monotonic += ms;
        this.stepBackMs = 0;
        if (this.now >= this.untilMs) this.#stop.abort();
      },
    });
  }

  untilMs = 0;
  async runUntil(ms: number): Promise<void> {
    this.untilMs = ms;
    await this.keeper.run(this.#stop.signal);
  }

  #issue(csr: Buffer): { chain: readonly Buffer[] } {
    const { publicKey } = parseCsr(csr);
    const key = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    this.asked.push({ atMs: this.now, key });
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const subject = { publicKey, id: this.id, ttlMs: this.ttlMs };
    const leaf = issueLeaf(subject, A.intermediate, this.now);
    return { chain: [leaf, A.intermediate.certificate.der] };
  }
}

const MINUTE_MS = 60_000;
const unavailable = (): MeshError => new MeshError('PEER_UNAVAILABLE', 'agent is down');

describe('IdentityKeeper', () => {
  for (const [random, minutes] of [
    [0, 24],
    [0.5, 30],
    [1, 36],
  ] as const) {
    it(`renews an hour-long SVID after ${minutes} minutes when chance says ${random}`, async () => {
      const scene = new Scene(random);
      await scene.runUntil(NOW + 40 * MINUTE_MS);
      expect(scene.asked[0]?.atMs).to.be.closeTo(NOW + minutes * MINUTE_MS, 1_000);
      expect(scene.asked).to.have.length(1);
    });
  }

  it('makes a new key each time, saves, and tells its observers', async () => {
    const scene = new Scene();
    const seen: Svid[] = [];
    const stop = scene.keeper.observe(() => seen.push(scene.keeper.current()));
    await scene.runUntil(NOW + 65 * MINUTE_MS);
    stop();
    expect(scene.asked).to.have.length(2);
    expect(new Set(scene.asked.map(each => each.key)).size).to.equal(2);
    expect(seen).to.deep.equal(scene.saved).and.have.length(2);
    expect(scene.keeper.current()).to.equal(scene.saved[1]);
    expect(
      createPublicKey(scene.keeper.current().key).export({ format: 'pem', type: 'spki' }),
    ).to.equal(scene.asked[1]?.key);
  });

  it('keeps what it has while renewing fails, tries again with growing waits, and recovers', async () => {
    const scene = new Scene(1);
    scene.failures = Array.from({ length: 9 }, unavailable);
    await scene.runUntil(NOW + 45 * MINUTE_MS);
    const waits = scene.asked.map(({ atMs }, i) => atMs - (scene.asked[i - 1]?.atMs ?? atMs));
    expect(waits).to.deep.equal(
      [0, 1, 2, 4, 8, 16, 32, 60, 60, 60].map(seconds => seconds * 1_000),
    );
    expect(scene.keeper.current()).to.equal(scene.saved[0]);
  });

  it('renews within a minute of its clock being set back an hour, for a certificate good by the new time, and then as usual', async () => {
    const scene = new Scene();
    scene.stepBackMs = HOUR_MS;
    const stepped = NOW + MINUTE_MS - HOUR_MS;
    await scene.runUntil(stepped + 31 * MINUTE_MS);
    expect(scene.asked.map(({ atMs }) => atMs)).to.deep.equal([stepped, stepped + 30 * MINUTE_MS]);
    expect(scene.saved[0]?.notBeforeMs).to.be.at.most(stepped);
  });

  it('is not put off by a clock that is set back while nobody renews, and asks no faster for it', async () => {
    const scene = new Scene();
    scene.stepBackMs = HOUR_MS;
    scene.failures = [unavailable(), unavailable()];
    await scene.runUntil(NOW + 10 * MINUTE_MS - HOUR_MS);
    expect(scene.asked).to.have.length(3);
    expect(scene.keeper.current()).to.equal(scene.saved[0]);
  });

  it('takes no notice of a clock that is set back by less than certificates are backdated', async () => {
    const scene = new Scene();
    scene.stepBackMs = 20_000;
    await scene.runUntil(NOW + 25 * MINUTE_MS);
    expect(scene.asked).to.have.length(0);
  });

  it('serves the old SVID past its end, for all to see, if nobody renews it', async () => {
    const scene = new Scene();
    scene.failures = Array.from({ length: 1000 }, unavailable);
    await scene.runUntil(NOW + 2 * HOUR_MS);
    expect(scene.keeper.current()).to.equal(FIRST);
    expect(scene.keeper.current().notAfterMs).to.be.lessThan(scene.now);
  });

  it('does not take another identity, nor a certificate for another key', async () => {
    const scene = new Scene();
    scene.id = testSvid(A, 'ns/shop/sa/admin').id;
    await scene.runUntil(NOW + 31 * MINUTE_MS);
    expect(scene.asked).not.to.be.empty;
    expect(scene.keeper.current()).to.equal(FIRST);
  });

  it('uses a renewed SVID that could not be saved', async () => {
    const scene = new Scene();
    scene.saveFails = true;
    await scene.runUntil(NOW + 40 * MINUTE_MS);
    expect(scene.asked).to.have.length(1);
    expect(scene.keeper.current()).not.to.equal(FIRST);
  });

  it('renews at once when its SVID is past half its life at the start', async () => {
    const scene = new Scene(0.5, testSvid(A, undefined, NOW - 50 * MINUTE_MS));
    await scene.runUntil(NOW + 1);
    expect(scene.asked.map(each => each.atMs)).to.deep.equal([NOW]);
  });

  it('renews at once when told that its SVID has to go, and then as usual', async () => {
    const scene = new Scene();
    scene.keeper.renewNow();
    await scene.runUntil(NOW + 31 * MINUTE_MS);
    expect(scene.asked.map(each => each.atMs)).to.deep.equal([NOW, NOW + 30 * MINUTE_MS]);
  });

  it('does not renew without pause when certificates are born old', async () => {
    const scene = new Scene(0.5, testSvid(A, undefined, NOW - 50 * MINUTE_MS));
    scene.ttlMs = 1_000;
    await scene.runUntil(NOW + 10_000);
    expect(scene.asked).to.have.length.at.most(11);
  });

  it('fails with what is no expected error', async () => {
    const scene = new Scene();
    scene.failures = [new TypeError('a bug')];
    const error: unknown = await scene.runUntil(NOW + HOUR_MS).catch((cause: unknown) => cause);
    expect(error).to.be.instanceOf(TypeError);
  });
});

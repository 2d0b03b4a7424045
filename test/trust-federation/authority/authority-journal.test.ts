/** A cluster authority over crashes: whatever falls between two of its steps, a start goes on from there. */

import { createPublicKey } from 'node:crypto';
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import { isUnderWay, ROLLOVER_STEPS } from '../../../src/mesh/rollover.ts';
import { parseTrustDomain, requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';
import {
  activeRoot,
  certificateId,
  JOURNAL_FILE,
  readAuthority,
} from '../../../src/trust-federation/authority/authority-journal.ts';
import type { ClusterAuthority } from '../../../src/trust-federation/authority/cluster-authority.ts';
import { openClusterAuthority } from '../../../src/trust-federation/authority/open-authority.ts';
import { replaceRoot } from '../../../src/trust-federation/authority/replace-root.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import { anyIdentity } from '../../../src/trust-federation/peers/authorizer.ts';
import { verifyPeer } from '../../../src/trust-federation/peers/verify.ts';
import { HOUR_MS } from '../pki.ts';

const trustDomain = parseTrustDomain('east.example');
const cluster = parseClusterName('east');
const ID = requireSpiffeId('spiffe://east.example/ns/shop/sa/cart');
const KEY = createPublicKey(generateSvidKey());
const advance = { kind: 'advance', unproven: undefined } as const;

describe("a cluster authority's journal", () => {
  let base: string;
  let dir: string;
  let now: number;
  beforeEach(async () => {
    now = Date.now();
    base = await mkdtemp(join(tmpdir(), 'isthmus-journal-'));
    dir = join(base, 'authority');
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  const open = (at = dir): Promise<ClusterAuthority> =>
    openClusterAuthority({ dir: at, cluster, trustDomain, now: () => now });

  /** The roots are pairs, one signs, and what it signs is good under the bundle it publishes. */
  function expectSound(authority: ClusterAuthority): void {
    const { slots } = authority.state;
    expect(slots.filter(({ state }) => state === 'active')).to.have.length(1);
    for (const { state, key, certificate } of slots) {
      expect(key === undefined, state).to.equal(state === 'revoked');
      if (key !== undefined) expect(certificate.x509.checkPrivateKey(key)).to.equal(true);
    }
    const { chain } = authority.issue({ publicKey: KEY, id: ID, ttlMs: HOUR_MS });
    const bundles = new Map([[trustDomain, authority.bundle()]]);
    expect(verifyPeer(chain, bundles, anyIdentity, now)).to.include({ kind: 'accepted' });
    expect(authority.isInStanding(certificateId(chain[1]))).to.equal(true);
  }

  it('takes a rollover through every step, each surviving a restart right after it', async () => {
    let authority = await open();
    await authority.startRollover(false);
    for (const step of ROLLOVER_STEPS) {
      authority = await open();
      expect(authority.state.rollover?.step).to.equal(step);
      expectSound(authority);
      if (step !== 'revoked') await authority.moveRollover(advance);
    }
  });

  it('is the old one or the new one after a kill at any point of a write', async () => {
    let authority = await open();
    await authority.startRollover(false);
    for (const step of ROLLOVER_STEPS.slice(1)) {
      const before = join(base, `before-${step}`);
      await cp(dir, before, { recursive: true });
      await authority.moveRollover(advance);
      const next = await readFile(join(dir, JOURNAL_FILE));
      // 1. killed while the temporary file was written; 2. written whole, but not renamed.
      for (const part of [0, 1, next.length - 1, next.length]) {
        const killed = join(base, `killed-${step}-${part}`);
        await cp(before, killed, { recursive: true });
        const temp = join(killed, `${JOURNAL_FILE}.5e.tmp`);
        await writeFile(temp, next.subarray(0, part), { mode: 0o600 });
        const reopened = await open(killed);
        expectSound(reopened);
        const index = ROLLOVER_STEPS.indexOf(step);
        expect(reopened.state.rollover?.step).to.equal(ROLLOVER_STEPS[index - 1]);
        expect(await readdir(killed), 'keys left in a half-written file').to.deep.equal([
          JOURNAL_FILE,
        ]);
        await reopened.moveRollover(advance);
        expect(reopened.state.rollover?.step).to.equal(step);
      }
      // 3. renamed: the next start sees the new state.
      authority = await open();
      expect(authority.state.rollover?.step).to.equal(step);
    }
  });

  it('never issues from a tainted root, and tells whose certificates have to go', async () => {
    const authority = await open();
    const issuer = (): string =>
      certificateId(authority.issue({ publicKey: KEY, id: ID, ttlMs: HOUR_MS }).chain[1]);
    const old = issuer();
    await authority.startRollover(false);
    for (const step of ROLLOVER_STEPS.slice(1)) {
      await authority.moveRollover(advance);
      const gone = ['tainted', 'drained', 'revoked'].includes(step);
      expect(authority.isInStanding(old), step).to.equal(!gone);
      expect(authority.isInStanding(issuer()), step).to.equal(true);
      const signs = authority.state.slots.find(({ state }) => state === 'active')?.id;
      expect(signs === authority.state.rollover?.to, step).to.equal(step !== 'trusted');
    }
    expect(authority.isInStanding('00'.repeat(32))).to.equal(false);
  });

  it('knows the intermediates of earlier processes, until they are retired', async () => {
    const first = await open();
    const { chain } = first.issue({ publicKey: KEY, id: ID, ttlMs: HOUR_MS });
    const issuer = certificateId(chain[1]);
    const second = await open();
    expect(second.isInStanding(issuer)).to.equal(true);
    await second.rotateIntermediate('keep');
    expect(second.isInStanding(issuer)).to.equal(true);
    await second.rotateIntermediate('retire');
    expect(second.isInStanding(issuer)).to.equal(false);
    expect((await open()).isInStanding(issuer)).to.equal(false);
    expectSound(second);
  });

  it('keeps no key of a revoked root', async () => {
    const authority = await open();
    const root = activeRoot(authority.state);
    const secret = root?.key.export({ type: 'pkcs8', format: 'der' }) ?? Buffer.alloc(0);
    expect((await readFile(join(dir, JOURNAL_FILE))).includes(secret)).to.equal(true);
    await authority.startRollover(false);
    while (isUnderWay(authority.state.rollover)) await authority.moveRollover(advance);
    expect((await readFile(join(dir, JOURNAL_FILE))).includes(secret)).to.equal(false);
    expect((await readAuthority(dir))?.slots.map(({ state }) => state)).to.deep.equal([
      'revoked',
      'active',
    ]);
  });

  it('is refused when others may read it, when it is damaged, and is good again when mended', async () => {
    await open();
    const path = join(dir, JOURNAL_FILE);
    const codeOf = async (): Promise<string> => {
      const error: unknown = await open().catch((cause: unknown) => cause);
      return isMeshError(error) ? error.code : 'opened';
    };
    await chmod(path, 0o644);
    expect(await codeOf()).to.equal('FILE_PERMISSIONS');
    await chmod(path, 0o600);
    await chmod(dir, 0o750);
    expect(await codeOf()).to.equal('FILE_PERMISSIONS');
    await chmod(dir, 0o700);
    const content = await readFile(path);
    for (const damage of [content.subarray(0, 40), Buffer.from('garbage'), flipped(content)]) {
      await writeFile(path, damage);
      expect(await codeOf()).to.equal('FILE_CORRUPT');
    }
    await writeFile(path, content);
    expect(await codeOf()).to.equal('opened');
  });

  it('goes on issuing when the clock is set back an hour, and what it issues is good at that hour', async () => {
    const authority = await open();
    now -= HOUR_MS;
    await authority.refreshIntermediate();
    expectSound(authority);
    now -= 48 * HOUR_MS;
    await authority.refreshIntermediate();
    const { chain } = authority.issue({ publicKey: KEY, id: ID, ttlMs: HOUR_MS });
    expect(chain).to.have.length(2);
    now += 49 * HOUR_MS;
    await authority.refreshIntermediate();
    expectSound(authority);
  });

  it('refuses to sign with a root that has expired, naming the way out', async () => {
    const authority = await open();
    now += 11 * 365 * 24 * HOUR_MS;
    expect(() => authority.issue({ publicKey: KEY, id: ID, ttlMs: HOUR_MS })).to.throw(
      /isthmus trust replace-root/,
    );
    const error: unknown = await open().catch((cause: unknown) => cause);
    expect(isMeshError(error, 'CERTIFICATE_INVALID'), String(error)).to.equal(true);
  });

  it('that has expired has a successor made offline, vouched for by the old root, and signs again', async () => {
    await open();
    now += 11 * 365 * 24 * HOUR_MS;
    const replacement = { stateDir: base, cluster, reason: 'expired', now: () => now };
    const elsewhere: unknown = await replaceRoot({
      ...replacement,
      stateDir: join(base, 'elsewhere'),
    }).catch((cause: unknown) => cause);
    expect(isMeshError(elsewhere, 'FILE_UNREADABLE'), String(elsewhere)).to.equal(true);
    await replaceRoot(replacement);
    const authority = await open();
    expect(authority.state.slots.map(({ state }) => state)).to.deep.equal(['tainted', 'active']);
    expect(authority.state.rollover).to.include({ step: 'tainted', auto: false });
    expectSound(authority);
    // Both roots sign the next version of the bundle; the old one is who the others know.
    expect(authority.statementSigners()).to.have.length(2);
    await authority.moveRollover(advance);
    await authority.moveRollover(advance);
    expect(authority.statementSigners()).to.have.length(1);
    expectSound(authority);
  });
});

function flipped(content: Buffer): Buffer {
  const copy = Buffer.from(content);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

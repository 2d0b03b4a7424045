import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { requireSpiffeId, type TrustDomain } from '../../../src/mesh/spiffe-id.ts';
import { createLogger } from '../../../src/runtime/log.ts';
import {
  type JwtAuthority,
  openJwtAuthority,
} from '../../../src/trust-federation/authority/jwt-authority.ts';
import { verifyJwtSvid } from '../../../src/trust-federation/identity/jwt-svid.ts';
import { DAY_MS, NOW } from '../pki.ts';

const WEB = requireSpiffeId('spiffe://east.example/ns/shop/sa/web');
const log = createLogger('test');
log.level = 'silent';

function bundlesOf(authority: JwtAuthority) {
  const bundle = {
    trustDomain: 'east.example' as TrustDomain,
    sequence: 1,
    refreshHintSeconds: 300,
    x509Authorities: [],
    jwtAuthorities: authority.published(),
    revoked: [],
  };
  return new Map([[bundle.trustDomain, bundle]]);
}

describe('the JWT authority', () => {
  let dir: string;
  let nowMs: number;
  const open = () => openJwtAuthority({ dir, log, now: () => nowMs });

  beforeEach(async () => {
    nowMs = NOW;
    dir = await mkdtemp(join(tmpdir(), 'isthmus-jwt-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('publishes each key a day before it signs, and until what it signed has expired', async () => {
    const authority = await open();
    let token = authority.issue(WEB, ['x']).token;
    const signers = new Set<string>();
    for (let day = 0; day < 30 * 24; day++) {
      const before = bundlesOf(authority);
      nowMs += DAY_MS / 24;
      await authority.rotate();
      // A token of an hour ago by those who have the newest bundle, one of now by those who lag a day.
      const late = token;
      token = authority.issue(WEB, ['x']).token;
      expect(verifyJwtSvid(late, 'x', bundlesOf(authority), nowMs - DAY_MS / 24).kind).to.equal(
        'accepted',
      );
      expect(verifyJwtSvid(token, 'x', before, nowMs).kind).to.equal('accepted');
      expect(authority.published().length).to.be.lessThan(4);
      signers.add(keyIdOf(token));
    }
    expect(signers.size).to.be.within(4, 6);
  });

  it('has the same keys after a restart, in a private file', async () => {
    const before = (await open()).published();
    expect((await open()).published()).to.deep.equal(before);
    const { mode } = await stat(join(dir, 'jwt-keys.json'));
    expect(mode & 0o777).to.equal(0o600);
  });

  it('refuses a file that others can read or that is damaged, and leaves it as it was', async () => {
    await open();
    const path = join(dir, 'jwt-keys.json');
    await chmod(path, 0o644);
    expect(await codeOf(open())).to.equal('FILE_PERMISSIONS');
    await chmod(path, 0o600);
    expect(await codeOf(open())).to.equal('ok');
    await writeFile(path, '[{"keyId":"a"}]');
    expect(await codeOf(open())).to.equal('FILE_CORRUPT');
  });

  it('signs on with a published key when the clock goes back', async () => {
    const authority = await open();
    nowMs -= 3 * DAY_MS;
    const { token } = authority.issue(WEB, ['x']);
    expect(verifyJwtSvid(token, 'x', bundlesOf(authority), nowMs).kind).to.equal('accepted');
  });
});

function keyIdOf(token: string): string {
  const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
  return (JSON.parse(header) as { kid: string }).kid;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: unknown) => (isMeshError(error) ? error.code : String(error)),
  );
}

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import {
  createJoinToken,
  JoinTokenAttestor,
} from '../../../src/cluster-agent/attestation/join-tokens.ts';
import { isMeshError, MeshError } from '../../../src/mesh/errors.ts';
import { requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';

const WEB = requireSpiffeId('spiffe://east.example/ns/shop/sa/web');
const DAY_MS = 86_400_000;

describe('the join tokens of proxies', () => {
  let dir: string;
  let nowMs: number;
  let attestor: JoinTokenAttestor;

  beforeEach(async () => {
    nowMs = Date.UTC(2026, 6, 1);
    dir = await mkdtemp(join(tmpdir(), 'isthmus-tokens-'));
    attestor = new JoinTokenAttestor(dir, () => nowMs);
  });
  afterEach(() => rm(dir, { recursive: true }));

  const create = () =>
    createJoinToken({ agentStateDir: dir, id: WEB, ttlMs: 60_000, now: () => nowMs });
  const attest = async (token: string, keySha256: string, accept = (): void => undefined) => {
    try {
      return await attestor.attest({ token, keySha256 }, accept);
    } catch (error) {
      if (isMeshError(error)) return error.code;
      throw error;
    }
  };

  it('of fifty callers at once admit one', async () => {
    const token = await create();
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) => attest(token, `key-${i}`)),
    );
    expect(results.filter(result => result === WEB)).to.have.length(1);
    expect(results.filter(result => result === 'TOKEN_USED')).to.have.length(49);
  });

  it('answer the key that redeemed them again, while they live', async () => {
    const token = await create();
    expect(await attest(token, 'mine')).to.equal(WEB);
    expect(await attest(token, 'mine')).to.equal(WEB);
    expect(await attest(token, 'another')).to.equal('TOKEN_USED');
    nowMs += 60_000;
    expect(await attest(token, 'mine')).to.equal('TOKEN_EXPIRED');
  });

  it('stay good when the caller is refused', async () => {
    const token = await create();
    const refuse = (): void => {
      throw new MeshError('CSR_REFUSED', 'asks for another');
    };
    expect(await attest(token, 'a', refuse)).to.equal('CSR_REFUSED');
    expect(await attest(token, 'b')).to.equal(WEB);
  });

  it('leave no files behind for ever', async () => {
    await attest(await create(), 'mine');
    await create();
    expect(await readdir(join(dir, 'join-tokens'))).to.have.length(2);
    nowMs += DAY_MS + 60_001;
    const token = await create();
    expect(await readdir(join(dir, 'join-tokens'))).to.have.length(1);
    expect(await attest(token, 'mine')).to.equal(WEB);
  });
});

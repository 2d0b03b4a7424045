import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { isMeshError } from '../../src/mesh/errors.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';
import { formatJoinToken, type JoinToken, parseJoinToken } from '../../src/wire/join-token.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(raw => Buffer.from(raw));
const token: fc.Arbitrary<JoinToken> = fc.record({
  clusterSet: label.map(name => `${name}.example` as TrustDomain),
  cluster: label.map(name => name as ClusterName),
  addresses: fc.array(fc.record({ host: label, port: fc.integer({ min: 1, max: 65535 }) }), {
    minLength: 1,
    maxLength: 3,
  }),
  rootSha256: bytes,
  secret: bytes,
});

function accepts(text: string): boolean {
  try {
    parseJoinToken(text);
    return true;
  } catch (error) {
    if (isMeshError(error, 'TOKEN_UNKNOWN')) return false;
    throw error;
  }
}

describe('join tokens', () => {
  it('parse to what was formatted', () => {
    fc.assert(
      fc.property(token, original => {
        expect(parseJoinToken(formatJoinToken(original))).to.deep.equal(original);
      }),
      { numRuns: 300 },
    );
  });

  it('are refused when cut short anywhere, or when there is more', () => {
    fc.assert(
      fc.property(token, fc.nat(), (original, at) => {
        const text = formatJoinToken(original);
        expect(accepts(text)).to.equal(true);
        expect(accepts(text.slice(0, at % text.length))).to.equal(false);
        expect(accepts(`${text}A`)).to.equal(false);
      }),
      { numRuns: 300 },
    );
  });

  it('are refused as TOKEN_UNKNOWN, and only so, whatever text comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(text => `isthmus1.${text}`),
        ),
        text => {
          expect(accepts(text)).to.equal(false);
        },
      ),
      { numRuns: 500 },
    );
  });
});

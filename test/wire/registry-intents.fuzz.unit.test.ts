import { expect } from 'chai';
import fc from 'fast-check';
import { isMeshError } from '../../src/mesh/errors.ts';
import { type Intent, intentKey, parseIntentKey } from '../../src/mesh/intent.ts';
import type { ClusterName, Namespace, ServiceName } from '../../src/mesh/names.ts';
import { decodeIntentKey, formatIntent, parseIntent } from '../../src/wire/registry-intents.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const cluster = label.map(name => name as ClusterName);
const service = {
  namespace: label.map(name => name as Namespace),
  name: label.map(name => name as ServiceName),
};
const ms = fc.nat({ max: 2 ** 50 });
const stated = { reason: fc.stringMatching(/^[ -~]{0,40}$/), atMs: ms, by: label };

const intent: fc.Arbitrary<Intent> = fc.oneof(
  fc.record({
    kind: fc.constant('service-ownership' as const),
    ...service,
    clusters: fc.array(cluster, { maxLength: 5 }),
    ...stated,
  }),
  fc.record({ kind: fc.constant('drain' as const), cluster, startMs: ms, overMs: ms, ...stated }),
  fc.record({
    kind: fc.constant('failover' as const),
    ...service,
    to: cluster,
    untilMs: ms,
    ...stated,
  }),
  fc.record({
    kind: fc.constant('cluster-revocation' as const),
    cluster,
    statement: fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
    ...stated,
  }),
  fc.record({ kind: fc.constant('departure' as const), cluster, ...stated }),
);

describe('intents', () => {
  it('parse to what was formatted, and so do their keys', () => {
    fc.assert(
      fc.property(intent, original => {
        expect(parseIntent(formatIntent(original))).to.deep.equal(original);
        expect(parseIntentKey(intentKey(original))).to.equal(intentKey(original));
      }),
      { numRuns: 500 },
    );
  });

  it('are refused as REQUEST_INVALID or LIMIT_EXCEEDED, and only so, whatever bytes come', () => {
    const accepts = (bytes: Uint8Array): boolean => {
      try {
        parseIntent(bytes);
        return true;
      } catch (error) {
        return isMeshError(error, 'REQUEST_INVALID') || isMeshError(error, 'LIMIT_EXCEEDED');
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), accepts), { numRuns: 500 });
    const damaged = fc.tuple(intent, fc.nat(), fc.nat({ max: 255 })).map(([original, at, byte]) => {
      const bytes = Uint8Array.from(formatIntent(original));
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(fc.property(damaged, accepts), { numRuns: 500 });
  });

  it('of a kind this version does not know are refused, saying so', () => {
    expect(() => parseIntent(Buffer.alloc(0))).to.throw('intent has no kind this version knows');
    expect(() => decodeIntentKey('evacuate/west')).to.throw('names no intent this version knows');
    expect(decodeIntentKey('drain/west')).to.equal('drain/west');
  });
});

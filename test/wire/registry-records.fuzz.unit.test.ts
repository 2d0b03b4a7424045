import { expect } from 'chai';
import fc from 'fast-check';
import { isMeshError } from '../../src/mesh/errors.ts';
import type { ClusterName, Namespace, ServiceName, WorkloadName } from '../../src/mesh/names.ts';
import type { SpiffeId, TrustDomain } from '../../src/mesh/spiffe-id.ts';
import {
  decodeRecordId,
  encodeRecordId,
  formatRecord,
  idOf,
  parseRecord,
  type RegistryRecord,
} from '../../src/wire/registry-records.ts';

const east = 'east' as ClusterName;

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
const text = fc.string({ maxLength: 60 }).filter(value => !/\p{C}/u.test(value));
const locality = fc.record({ region: text, zone: text });
const address = fc.record({
  host: fc.oneof(fc.ipV4(), fc.ipV6(), label),
  port: fc.integer({ min: 1, max: 65535 }),
});
const trustDomain = label.map(name => `${name}.example` as TrustDomain);

const record: fc.Arbitrary<RegistryRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('config' as const),
    config: fc.record({
      name: label.map(name => name as ClusterName),
      instance: text,
      trustDomain,
      locality,
      network: text,
      gateways: fc.array(address, { maxLength: 16 }),
      version: text,
      capabilities: fc.array(text, { maxLength: 5 }),
      startedMs: fc.nat(),
    }),
  }),
  fc.record({
    kind: fc.constant('bundle' as const),
    bundle: fc.record({
      signed: fc.uint8Array({ maxLength: 200 }),
      predecessors: fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 3 }),
    }),
  }),
  fc.record({
    kind: fc.constant('export-slice' as const),
    slice: fc.record({
      namespace: label.map(name => name as Namespace),
      name: label.map(name => name as ServiceName),
      slice: fc.integer({ min: 0, max: 999 }),
      ports: fc.array(
        fc.record({
          port: fc.integer({ min: 1, max: 65535 }),
          protocol: fc.constantFrom('http' as const, 'tcp' as const),
        }),
        { maxLength: 32 },
      ),
      exportTo: fc.oneof(
        fc.constant('all' as const),
        fc.array(
          label.map(name => name as ClusterName),
          { maxLength: 5 },
        ),
      ),
      endpoints: fc.array(
        fc.record({
          workload: label.map(name => name as WorkloadName),
          cluster: fc.constant(east),
          spiffeId: label.map(name => `spiffe://east.example/ns/shop/sa/${name}` as SpiffeId),
          locality,
          address,
        }),
        { maxLength: 10 },
      ),
    }),
  }),
  fc.record({
    kind: fc.constant('trust-acks' as const),
    acks: fc.array(
      fc.record({
        trustDomain,
        offered: fc.maxSafeNat(),
        sequence: fc.maxSafeNat(),
        proxies: fc.nat(),
        current: fc.nat(),
        laggards: fc.array(fc.record({ proxy: text, lacks: text, sinceMs: fc.maxSafeNat() }), {
          maxLength: 20,
        }),
      }),
      { maxLength: 3 },
    ),
  }),
  fc.record({ kind: fc.constantFrom('synced' as const, 'alive' as const), instance: text }),
);

describe('registry records', () => {
  it('parse to what was formatted, and so do their ids', () => {
    fc.assert(
      fc.property(record, original => {
        const parsed = parseRecord(formatRecord(original), east);
        expect(formatRecord(parsed)).to.deep.equal(formatRecord(original));
        expect(idOf(parsed)).to.deep.equal(idOf(original));
        expect(decodeRecordId(encodeRecordId(idOf(original)))).to.deep.equal(idOf(original));
        if (original.kind !== 'bundle') expect(parsed).to.deep.equal(original);
      }),
      { numRuns: 500 },
    );
  });

  it('are refused as MeshErrors, and only so, whatever bytes come', () => {
    const accepts = (bytes: Uint8Array): boolean => {
      try {
        parseRecord(bytes, east);
        return true;
      } catch (error) {
        return isMeshError(error, 'REQUEST_INVALID') || isMeshError(error, 'LIMIT_EXCEEDED');
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), accepts), { numRuns: 1000 });
    const damaged = fc.tuple(record, fc.nat(), fc.nat({ max: 255 })).map(([original, at, byte]) => {
      const bytes = Uint8Array.from(formatRecord(original));
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(fc.property(damaged, accepts), { numRuns: 1000 });
  });

  it('are refused when cut short, unless what is left is a whole record', () => {
    fc.assert(
      fc.property(record, fc.nat(), (original, at) => {
        const bytes = formatRecord(original);
        const cut = bytes.subarray(0, at % Math.max(1, bytes.length));
        try {
          parseRecord(cut, east);
          return cut.length > 0;
        } catch (error) {
          return isMeshError(error, 'REQUEST_INVALID');
        }
      }),
      { numRuns: 500 },
    );
  });
});

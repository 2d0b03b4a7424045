import { expect } from 'chai';
import fc from 'fast-check';
import {
  auditKey,
  describeRecord,
  domainKey,
  EPOCH_KEY,
  formatIntentKey,
  formatKey,
  parseKey,
  rivalKey,
  type TableKey,
} from '../../src/global-registry/keys.ts';
import { intentKey } from '../../src/mesh/intent.ts';
import type { ClusterName, Namespace, ServiceName } from '../../src/mesh/names.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';

const east = 'east' as ClusterName;
const slice = {
  kind: 'export-slice',
  namespace: 'shop' as Namespace,
  name: 'cart' as ServiceName,
  slice: 12,
} as const;

const format = (key: TableKey): string => {
  if (key.kind === 'private') return '';
  return key.kind === 'intent' ? formatIntentKey(key.intent) : formatKey(key);
};

describe('registry keys', () => {
  it('have one form for each record', () => {
    const keys = (['config', 'bundle', 'synced', 'alive', 'trust-acks'] as const).map(kind =>
      formatKey({ cluster: east, id: { kind } }),
    );
    expect(keys).to.deep.equal([
      '/isthmus/v1/clusters/east/config',
      '/isthmus/v1/clusters/east/bundle',
      '/isthmus/v1/clusters/east/synced',
      '/isthmus/v1/clusters/east/alive',
      '/isthmus/v1/clusters/east/trust-acks',
    ]);
    const key = formatKey({ cluster: east, id: slice });
    expect(key).to.equal('/isthmus/v1/exports/east/shop/cart/12');
    expect(describeRecord(slice)).to.equal('exports/shop/cart/12');
    const drain = formatIntentKey(
      intentKey({ kind: 'drain', cluster: east, startMs: 1, overMs: 1 }),
    );
    expect(drain).to.equal('/isthmus/v1/intents/drain/east');
    for (const each of [...keys, key, drain]) expect(format(parseKey(each)!)).to.equal(each);
  });

  for (const key of [
    '',
    '/isthmus/v1/',
    '/isthmus/v2/clusters/east/config',
    '/isthmus/v1/clusters/east',
    '/isthmus/v1/clusters/east/config/',
    '/isthmus/v1/clusters/east/other',
    '/isthmus/v1/clusters//config',
    '/isthmus/v1/clusters/EAST/config',
    '/isthmus/v1/exports/east/shop/cart',
    '/isthmus/v1/exports/east/shop/cart/',
    '/isthmus/v1/exports/east/shop/cart/01',
    '/isthmus/v1/exports/east/shop/cart/10000',
    '/isthmus/v1/exports/east/shop/../1',
    '/isthmus/v1/exports/east/shop/cart/1/2',
    '/isthmus/v1/audit/',
    '/isthmus/v1/domains/a/b',
    '/isthmus/v1/epoch/1',
    '/isthmus/v1/intents/drain',
    '/isthmus/v1/intents/drain/east/west',
    '/isthmus/v1/intents/drain/East',
    '/isthmus/v1/intents/service-ownership/shop',
    '/isthmus/v1/intents/toString/east',
  ]) {
    it(`do not include ${JSON.stringify(key)}`, () => {
      expect(parseKey(key)).to.equal(undefined);
    });
  }

  it('for the registry alone are known by their table', () => {
    const keys = [
      domainKey('east.example' as TrustDomain),
      rivalKey(east),
      auditKey(1_700_000_000_000, 'ab12'),
      EPOCH_KEY,
    ];
    expect(keys.map(key => parseKey(key))).to.deep.equal([
      { kind: 'private', table: 'domains' },
      { kind: 'private', table: 'rivals' },
      { kind: 'private', table: 'audit' },
      { kind: 'private', table: 'epoch' },
    ]);
    expect(auditKey(9, 'z') < auditKey(10, 'a')).to.equal(true);
  });

  it('parse to what was formatted, and nothing else parses', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        const key = `/isthmus/v1/${text}`;
        const parsed = parseKey(key);
        return parsed === undefined || parsed.kind === 'private' || format(parsed) === key;
      }),
    );
  });
});

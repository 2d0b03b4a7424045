import { expect } from 'chai';
import fc from 'fast-check';
import {
  describeRecord,
  formatIntentKey,
  formatKey,
  parseKey,
  type TableKey,
} from '../../src/global-registry/keys.ts';
import { intentKey } from '../../src/mesh/intent.ts';
import type { ClusterName, Namespace, ServiceName } from '../../src/mesh/names.ts';

const east = 'east' as ClusterName;
const slice = {
  kind: 'export-slice',
  namespace: 'shop' as Namespace,
  name: 'cart' as ServiceName,
  slice: 12,
} as const;

const format = (key: TableKey): string =>
  key.kind === 'intent' ? formatIntentKey(key.intent) : formatKey(key);

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
    '/isthmus/v1/exports/east/shop/cart/1000',
    '/isthmus/v1/exports/east/shop/../1',
    '/isthmus/v1/exports/east/shop/cart/1/2',
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

  it('parse to what was formatted, and nothing else parses', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        const key = `/isthmus/v1/${text}`;
        const parsed = parseKey(key);
        return parsed === undefined || format(parsed) === key;
      }),
    );
  });
});

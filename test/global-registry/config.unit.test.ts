import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { registryConfigSchema } from '../../src/global-registry/config.ts';
import { messageOf } from '../../src/mesh/errors.ts';
import { parseConfig } from '../../src/runtime/config.ts';

const EXAMPLE = readFileSync(new URL('../../../clusters/registry.yaml', import.meta.url), 'utf8');
const problems = (text: string): string => {
  try {
    parseConfig(text, 'registry.yaml', registryConfigSchema);
    return 'accepted';
  } catch (error) {
    return messageOf(error);
  }
};
const withStore = (store: string): string => EXAMPLE.replace('store:\n  kind: embedded', store);

describe('the registry configuration', () => {
  it('accepts the example, and etcd in its place', () => {
    expect(problems(EXAMPLE)).to.equal('accepted');
    expect(
      problems(withStore('store: { kind: etcd, endpoints: [127.0.0.1:2379, 127.0.0.1:2479] }')),
    ).to.equal('accepted');
    const tls = 'tls: { ca: ca.pem, cert: a.pem, key: a.key }';
    expect(
      problems(withStore(`store: { kind: etcd, endpoints: [10.0.0.1:2379], ${tls} }`)),
    ).to.equal('accepted');
  });

  for (const [store, expected] of [
    ['store: { kind: etcd }', 'store.endpoints: missing'],
    ['store: { kind: etcd, endpoints: [] }', 'store.endpoints: must name at least one endpoint'],
    ['store: { kind: embedded, endpoints: [127.0.0.1:1] }', 'store.endpoints: unknown key'],
    ['store: { kind: consul }', 'store.kind'],
    ['store: { kind: etcd, endpoints: [10.0.0.1:2379] }', 'must have tls: etcd on another machine'],
    [
      'store: { kind: etcd, endpoints: [10.0.0.1:2379], tls: { ca: ca.pem } }',
      'store.tls.cert: missing',
    ],
  ] as const) {
    it(`refuses ${store}`, () => expect(problems(withStore(store))).to.include(expected));
  }
});

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isMeshError } from '../../src/mesh/errors.ts';
import * as names from '../../src/mesh/names.ts';

describe('names', () => {
  const legal = ['a', '0', 'payments', 'payments-v2', 'a--b', '1a', 'x'.repeat(63)];
  const illegal = ['', '-a', 'a-', 'A', 'pay_ments', 'a.b', 'a/b', ' a', 'a\n', 'ä', '\u212Aube'];

  for (const text of legal) {
    it(`accept ${JSON.stringify(text)} and give it back unchanged`, () => {
      expect(names.isDnsLabel(text)).to.equal(true);
      expect(names.parseServiceName(text)).to.equal(text);
    });
  }

  for (const text of [...illegal, 'x'.repeat(64)]) {
    it(`refuse ${JSON.stringify(text)}`, () => {
      expect(names.isDnsLabel(text)).to.equal(false);
      expect(() => names.parseServiceName(text))
        .to.throw()
        .that.satisfies((error: unknown) => isMeshError(error, 'NAME_INVALID'));
    });
  }

  it('say what kind of name was refused, what was found and the rule', () => {
    const cases = [
      [names.parseClusterName, 'cluster name'],
      [names.parseNamespace, 'namespace'],
      [names.parseServiceName, 'service name'],
      [names.parseWorkloadName, 'workload name'],
      [names.parseServiceAccount, 'service account'],
    ] as const;
    for (const [parse, what] of cases) {
      expect(() => parse('No')).to.throw(`${what} "No" must be lower-case letters`);
    }
    expect(() => names.parseNamespace('x'.repeat(64))).to.throw('is 64 characters long');
  });

  it('never repeat more than 80 characters of what was found', () => {
    expect(() => names.parseNamespace('x'.repeat(100_000)))
      .to.throw()
      .that.has.property('message')
      .with.length.below(200);
  });

  it('join into the key of a service', () => {
    const key = names.serviceKey(names.parseNamespace('shop'), names.parseServiceName('payments'));
    expect(key).to.equal('shop/payments');
  });
});

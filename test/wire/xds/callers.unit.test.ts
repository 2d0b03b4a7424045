/** Who may call: what is written reads back, and a policy that says more or less is refused by its field. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { TypedExtensionConfig } from '../../../src/wire/generated/envoy/config/core/v3/extension.ts';
import {
  type Policy,
  type Principal,
  RBAC as Rules,
} from '../../../src/wire/generated/envoy/config/rbac/v3/rbac.ts';
import { RBAC } from '../../../src/wire/generated/envoy/extensions/filters/network/rbac/v3/rbac.ts';
import { formatCallers, parseCallers } from '../../../src/wire/xds/callers.ts';
import { CALLERS } from './nouns.ts';

const { typedConfig } = TypedExtensionConfig.decode(formatCallers(CALLERS));
const { rules: RULES } = RBAC.decode(typedConfig!.value);
const POLICY = RULES!.policies['callers']!;

function parse(rules: Rules | undefined): unknown {
  const value = Buffer.from(RBAC.encode({ rules, statPrefix: 'x' }).finish());
  const message = { name: CALLERS.name, typedConfig: { ...typedConfig!, value } };
  return parseCallers(TypedExtensionConfig.encode(message).finish());
}

function withPolicy(policy: Partial<Policy>): Rules {
  return { ...RULES!, policies: { callers: { ...POLICY, ...policy } } };
}

function withPrincipal(matchPattern: { $case: 'exact' | 'prefix'; value: string }): Rules {
  const principal: Principal = {
    identifier: { $case: 'authenticated', value: { principalName: { matchPattern } } },
  };
  return withPolicy({ principals: [principal] });
}

describe('callers of a service', () => {
  it('read back the same, also when there are none', () => {
    expect(parseCallers(formatCallers(CALLERS))).to.deep.equal(CALLERS);
    const nobody = { ...CALLERS, trustDomains: [] };
    expect(parseCallers(formatCallers(nobody))).to.deep.equal(nobody);
    expect(parse(RULES)).to.deep.equal(CALLERS);
  });

  const principal = 'rules.policies.callers.principals[0].authenticated.principal_name.prefix';
  const cases: readonly [title: string, problem: string, rules: Rules | undefined][] = [
    ['no rules', 'rules: missing', undefined],
    ['rules that deny', 'rules.action: must be ALLOW', { ...RULES!, action: 1 }],
    ['no policy', 'rules.policies: must be "callers" alone', { ...RULES!, policies: {} }],
    [
      'a second policy',
      'rules.policies: must be "callers" alone',
      { ...RULES!, policies: { ...RULES!.policies, more: POLICY } },
    ],
    [
      'no permission',
      'rules.policies.callers.permissions: must be any',
      withPolicy({ permissions: [] }),
    ],
    [
      'two permissions',
      'rules.policies.callers.permissions: must be any',
      withPolicy({ permissions: [...POLICY.permissions, ...POLICY.permissions] }),
    ],
    [
      'somebody who is not authenticated',
      `${principal}: missing`,
      withPolicy({ principals: [{ identifier: undefined }] }),
    ],
    ...(
      [
        { $case: 'exact', value: 'spiffe://east.example/' },
        { $case: 'prefix', value: 'spiffe://east.example' },
        { $case: 'prefix', value: 'spiffe://east.example/ns/' },
        { $case: 'prefix', value: '' },
      ] as const
    ).map((pattern): (typeof cases)[number] => [
      `a name that is ${pattern.$case} "${pattern.value}"`,
      `${principal}: must be all of one trust domain`,
      withPrincipal(pattern),
    ]),
  ];
  for (const [title, problem, rules] of cases) {
    it(`are refused with ${title}`, () => {
      const message = `extension-config "${CALLERS.name}": typed_config.${problem}`;
      expect(() => parse(rules)).to.throw(message);
    });
  }

  it('are refused for a trust domain that is none', () => {
    try {
      parse(withPrincipal({ $case: 'prefix', value: 'spiffe://East.example/' }));
      expect.fail('was read');
    } catch (error) {
      expect(isMeshError(error, 'PROTOCOL_VIOLATION')).to.equal(true);
    }
  });
});

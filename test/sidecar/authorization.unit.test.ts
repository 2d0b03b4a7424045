import { expect } from 'chai';
import { inboundName } from '../../src/mesh/callers.ts';
import { Table } from '../../src/mesh/collection.ts';
import type { Namespace, ServiceName } from '../../src/mesh/names.ts';
import { parseTrustDomain, type TrustDomain } from '../../src/mesh/spiffe-id.ts';
import { type AuthorizationRule, denialOf } from '../../src/sidecar/inbound/authorization.ts';

const [OWN, EAST, EU] = ['west.example', 'east.example', 'eu.example'].map(parseTrustDomain) as [
  TrustDomain,
  TrustDomain,
  TrustDomain,
];
const PAYMENTS = { namespace: 'shop' as Namespace, name: 'payments' as ServiceName };
const PORT = inboundName(PAYMENTS, 80);

function told(...callers: readonly TrustDomain[]): AuthorizationRule {
  const table = new Table<typeof PORT, ReadonlySet<TrustDomain>>('callers');
  table.put(PORT, new Set(callers));
  return { own: OWN, callers: table };
}
const neverTold: AuthorizationRule = { own: OWN, callers: new Table('callers') };
const broken: AuthorizationRule = {
  own: OWN,
  callers: {
    get: () => {
      throw new Error('a fault');
    },
  },
};

describe('a request of a verified caller', () => {
  for (const [title, caller, rule, denial] of [
    ['of a cluster that the service is exported to is allowed', EAST, told(OWN, EAST), undefined],
    ['of another one is denied', EU, told(OWN, EAST), 'not-exported'],
    [
      'of a trust domain that begins alike is denied',
      parseTrustDomain('east.example.org'),
      told(EAST),
      'not-exported',
    ],
    ['of the own cluster is allowed', OWN, told(OWN), undefined],
    ['of the own cluster is allowed whatever is said', OWN, told(EAST), undefined],
    ['of the own cluster is allowed when nothing was ever said', OWN, neverTold, undefined],
    ['of another cluster is denied when nothing was ever said', EAST, neverTold, 'callers-unknown'],
    ['of another cluster is denied when it cannot be judged', EAST, broken, 'judging-failed'],
  ] as const) {
    it(title, () => expect(denialOf(caller, PORT, rule)).to.equal(denial));
  }

  it('is judged for its port: another one of the service is not exported with it', () => {
    expect(denialOf(EAST, inboundName(PAYMENTS, 81), told(OWN, EAST))).to.equal('callers-unknown');
  });
});

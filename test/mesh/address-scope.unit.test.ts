import { expect } from 'chai';
import { type AddressScope, addressScope } from '../../src/mesh/address-scope.ts';

const SCOPES: Readonly<Record<AddressScope, readonly string[]>> = {
  loopback: [
    '127.0.0.1',
    '127.9.9.9',
    'localhost',
    'LOCALHOST.',
    'a.localhost',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
  ],
  'link-local': ['169.254.1.1', 'fe80::1', 'febf::1'],
  nowhere: [
    '0.0.0.0',
    '0.1.2.3',
    '255.255.255.255',
    '224.0.0.1',
    '::',
    'ff02::1',
    '::ffff:0.0.0.0',
  ],
  ambiguous: [
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '127.0.0.01',
    '10.0.0.256',
    '1.2.3.4.5',
  ],
  routable: [
    '10.0.0.1',
    '192.168.1.1',
    '8.8.8.8',
    'gateway.east.example',
    '2001:db8::1',
    'fd00::1',
    '::ffff:10.0.0.1',
    'x7f',
  ],
};

describe('the scope of an address', () => {
  for (const [scope, hosts] of Object.entries(SCOPES)) {
    for (const host of hosts) {
      it(`of ${host} is ${scope}`, () => expect(addressScope(host)).to.equal(scope));
    }
  }
});

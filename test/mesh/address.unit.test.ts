import { expect } from 'chai';
import { describe, it } from 'mocha';
import { formatAddress, parseAddress } from '../../src/mesh/address.ts';
import { isMeshError } from '../../src/mesh/errors.ts';

describe('addresses', () => {
  const legal = [
    { text: '127.0.0.1:15443', host: '127.0.0.1', port: 15443 },
    { text: 'gateway.west.example:443', host: 'gateway.west.example', port: 443 },
    { text: 'localhost:0', host: 'localhost', port: 0 },
    { text: '[::1]:65535', host: '::1', port: 65535 },
    { text: '[::ffff:10.0.0.1]:1', host: '::ffff:10.0.0.1', port: 1 },
  ];
  for (const { text, host, port } of legal) {
    it(`read ${text} and write it the same way`, () => {
      expect(parseAddress(text)).to.deep.equal({ host, port });
      expect(formatAddress({ host, port })).to.equal(text);
    });
  }

  const illegal = [
    '',
    '15443',
    ':15443',
    'host',
    'host:',
    'host:65536',
    'host:-1',
    'host:1e3',
    'host:80 ',
    'host:80\n',
    '::1:80',
    '[::1]',
    '[::1:80',
    '[host]:80',
    '[]:80',
    '[abc]:80',
    'http://host:80',
    'a b:80',
  ];
  for (const text of illegal) {
    it(`refuse ${JSON.stringify(text)} and show the form expected`, () => {
      expect(() => parseAddress(text))
        .to.throw('must be host:port, such as 127.0.0.1:15443 or [::1]:15443')
        .that.satisfies((error: unknown) => isMeshError(error, 'NAME_INVALID'));
    });
  }
});

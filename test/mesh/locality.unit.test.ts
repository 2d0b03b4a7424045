import { expect } from 'chai';
import { describe, it } from 'mocha';
import { localityPriority } from '../../src/mesh/locality.ts';

describe('the priority of a locality', () => {
  const here = { region: 'us-east', zone: 'us-east-1' };
  const table = [
    { why: 'same zone', from: here, to: here, priority: 0 },
    { why: 'same region', from: here, to: { region: 'us-east', zone: 'us-east-2' }, priority: 1 },
    { why: 'another region', from: here, to: { region: 'eu', zone: 'eu-1' }, priority: 2 },
    {
      why: 'a zone of the same name elsewhere',
      from: here,
      to: { region: 'eu', zone: 'us-east-1' },
      priority: 2,
    },
    { why: 'an unknown zone', from: here, to: { region: 'us-east', zone: '' }, priority: 1 },
    {
      why: 'both zones unknown',
      from: { region: 'eu', zone: '' },
      to: { region: 'eu', zone: '' },
      priority: 1,
    },
    { why: 'an unknown region', from: here, to: { region: '', zone: '' }, priority: 2 },
    {
      why: 'both regions unknown, even with equal zones',
      from: { region: '', zone: 'a' },
      to: { region: '', zone: 'a' },
      priority: 2,
    },
  ];
  for (const { why, from, to, priority } of table) {
    it(`is ${priority} for ${why}`, () => {
      expect(localityPriority(from, to)).to.equal(priority);
      expect(localityPriority(to, from)).to.equal(priority);
    });
  }
});

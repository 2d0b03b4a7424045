import { expect } from 'chai';
import { describe, it } from 'mocha';
import { seeds } from './corpus.ts';
import { GET, readConnection, readResponse } from './messages.ts';

describe('the seeds', () => {
  for (const { name, text } of seeds('requests', 'legal')) {
    it(`"${name}" is a connection of legal requests`, () => {
      const { requests, refused } = readConnection(text);
      expect(refused).to.equal(undefined);
      expect(requests).to.have.length.at.least(1);
    });
  }

  for (const { name, text } of seeds('requests', 'refused')) {
    it(`"${name}" is refused`, () => {
      const { requests, refused } = readConnection(text);
      expect(refused).to.equal(name.replace(/\..*/, ''));
      expect(requests).to.have.length(0);
    });
  }

  for (const { name, text } of seeds('responses', 'legal')) {
    it(`"${name}" is a legal response`, () => {
      expect(readResponse(text, GET).end).to.equal(name === 'until-close' ? 'more' : 'done');
    });
  }

  for (const { name, text } of seeds('responses', 'refused')) {
    it(`"${name}" is a refused response`, () => {
      expect(readResponse(text, GET).end).to.equal(name.replace(/\..*/, ''));
    });
  }
});

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ERROR_CODES, isMeshError, MeshError, messageOf } from '../../src/mesh/errors.ts';

describe('a MeshError', () => {
  it('carries code, message, cause and details', () => {
    const cause = new Error('why');
    const error = new MeshError('NAME_INVALID', 'what', { cause, details: { port: 1 } });
    expect(error).to.be.instanceOf(Error);
    expect(error).to.include({ name: 'MeshError', code: 'NAME_INVALID', message: 'what', cause });
    expect(error.details).to.deep.equal({ port: 1 });
  });

  it('has no cause and empty details unless given', () => {
    const error = new MeshError('NAME_INVALID', 'what');
    expect('cause' in error).to.equal(false);
    expect(error.details).to.deep.equal({});
  });

  it('is told from other errors, and by its code', () => {
    const error = new MeshError('NAME_INVALID', 'what');
    expect(isMeshError(error)).to.equal(true);
    expect(isMeshError(error, 'NAME_INVALID')).to.equal(true);
    expect(isMeshError(error, 'CONFIG_INVALID')).to.equal(false);
    expect(isMeshError(Object.assign(new Error('x'), { code: 'NAME_INVALID' }))).to.equal(false);
    expect(isMeshError(undefined)).to.equal(false);
  });

  it('gives its message, as does anything else thrown', () => {
    expect(messageOf(new MeshError('NAME_INVALID', 'what'))).to.equal('what');
    expect(messageOf('text')).to.equal('text');
    expect(messageOf(undefined)).to.equal('undefined');
  });
});

describe('the list of error codes', () => {
  it('holds each code once, in upper case', () => {
    expect(new Set(ERROR_CODES).size).to.equal(ERROR_CODES.length);
    for (const code of ERROR_CODES) expect(code).to.match(/^[A-Z]+(_[A-Z]+)+$/);
  });
});

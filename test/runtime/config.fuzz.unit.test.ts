import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import * as v from 'valibot';
import { stringify } from 'yaml';
import { isMeshError } from '../../src/mesh/errors.ts';
import * as config from '../../src/runtime/config.ts';

const schema = config.object({
  cluster: config.clusterName(),
  ttl: v.optional(config.duration()),
  ports: v.optional(v.array(config.object({ port: config.port() }))),
});

function outcome(text: string): 'accepted' | 'refused' {
  try {
    config.parseConfig(text, 'a.yaml', schema);
    return 'accepted';
  } catch (error) {
    if (isMeshError(error, 'CONFIG_INVALID')) return 'refused';
    throw error;
  }
}

describe('the configuration parser', () => {
  it('accepts or refuses any text, and throws nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => void outcome(text)),
    );
  });

  it('accepts or refuses any arrangement of what YAML is made of', () => {
    const word = fc.constantFrom(
      ...['cluster', 'ttl', 'ports', 'port', ': ', '- ', '\n', '  ', '[', ']', '{', '}', ',', '"'],
      ...["'", '&a ', '*a', '!!str ', '!x ', '|', '>', '? ', '#', '---\n', '<<', '%YAML 1.1\n'],
      ...['null', 'no', '0', '1e9', '.nan', '__proto__', 'constructor', '\t', '\u0000', '\ufeff'],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), words => void outcome(words.join(''))),
      { numRuns: 1000 },
    );
  });

  it('accepts or refuses any value, however it is written', () => {
    const value = fc.object({
      key: fc.constantFrom('cluster', 'ttl', 'ports', 'port', '__proto__'),
    });
    fc.assert(fc.property(value, object => void outcome(stringify(object))));
  });

  it('reads back every legal configuration', () => {
    const legal = fc.record({
      cluster: fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/),
      ports: fc.array(fc.record({ port: fc.integer({ min: 1, max: 65535 }) })),
    });
    fc.assert(
      fc.property(legal, object => {
        const { cluster, ports } = config.parseConfig(stringify(object), 'a.yaml', schema);
        expect({ cluster, ports }).to.deep.equal(object);
      }),
    );
  });
});

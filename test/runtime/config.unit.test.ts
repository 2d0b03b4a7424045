import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as v from 'valibot';
import { isMeshError } from '../../src/mesh/errors.ts';
import * as config from '../../src/runtime/config.ts';

const schema = config.object({
  cluster: config.clusterName(),
  admin: v.optional(config.address()),
  ttl: v.optional(config.duration(), '1h'),
  ports: v.optional(
    v.array(config.object({ port: config.port(), protocol: v.picklist(['http', 'tcp']) })),
    [],
  ),
  verbose: v.optional(v.boolean(), false),
});

const parse = (text: string) => config.parseConfig(text, 'a.yaml', schema);

/** The lines after the heading, or a failure when the text was accepted. */
function problems(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!isMeshError(error, 'CONFIG_INVALID')) throw error;
    const [heading, ...lines] = error.message.split('\n');
    expect(heading).to.match(/^config file "a\.yaml" has \d+ problems?:$/);
    return lines.map(line => line.trim());
  }
  throw new Error(`accepted: ${text}`);
}

describe('a configuration', () => {
  it('is parsed into the values its keys mean', () => {
    const text = `
      cluster: east
      admin: 127.0.0.1:9000
      ttl: 30s
      ports: [{ port: 80, protocol: http }]
    `;
    expect(parse(text)).to.deep.equal({
      cluster: 'east',
      admin: { host: '127.0.0.1', port: 9000 },
      ttl: 30_000,
      ports: [{ port: 80, protocol: 'http' }],
      verbose: false,
    });
  });

  const one: readonly [what: string, text: string, problem: string][] = [
    ['a missing key', '{}', 'cluster: missing'],
    ['a missing nested key', 'cluster: a\nports: [{port: 1}]', 'ports.0.protocol: missing'],
    ['a wrong type', 'cluster: 12', 'cluster: must be string, found "12"'],
    ['an empty value', 'cluster:', 'cluster: must be string, found nothing'],
    ['a list for a value', 'cluster: [a, b]', 'cluster: must be string, found a list of 2'],
    ['a mapping for a value', 'cluster: {a: b}', 'cluster: must be string, found a mapping'],
    ['an unknown choice', 'cluster: a\nports: [{port: 1, protocol: udp}]', 'found "udp"'],
    ['a number for a boolean', 'cluster: a\nverbose: 1', 'verbose: must be boolean, found "1"'],
    ['a bad name', 'cluster: East', 'cluster: cluster name "East" must be lower-case letters'],
    ['a bad address', 'cluster: a\nadmin: "9000"', 'must be host:port'],
    ['a duration without a unit', 'cluster: a\nttl: "30"', 'duration "30" must be a number and'],
    ['a duration of nothing', 'cluster: a\nttl: 0s', 'duration "0s" must be'],
    ['a port out of range', 'cluster: a\nports: [{port: 0, protocol: tcp}]', 'must be 1 to 65535'],
    ['half a port', 'cluster: a\nports: [{port: 1.5, protocol: tcp}]', 'must be a whole number'],
    ['an empty file', '', '(top level): must be object, found nothing'],
    ['a list at the top', '[a]', 'cluster: missing'],
    ['a duplicate key', 'cluster: a\ncluster: b', 'Map keys must be unique at line 2, column 1'],
    ['a duplicate nested key', 'cluster: a\nports: [{port: 1, port: 2}]', 'must be unique'],
    ['broken YAML', 'cluster: [a', 'at line 1'],
    ['two documents', 'cluster: a\n---\ncluster: b', 'multiple documents'],
    ['a custom tag', 'cluster: !env NAME', 'Unresolved tag: !env at line 1, column 10'],
    ['a JavaScript tag', 'cluster: !!js/function "x"', 'Unresolved tag'],
    ['a key that is no string', '? [a]\n: b', 'all keys must be strings'],
    ['an alias of nothing', 'cluster: *a', 'Unresolved alias'],
    ['a list that holds itself', 'cluster: &a [*a]', 'cluster: must be string, found a list of 1'],
    ['a value nested too deeply', '['.repeat(3000), 'Maximum call stack size exceeded'],
  ];
  for (const [what, text, problem] of one) {
    it(`with ${what} is refused, saying so`, () => {
      expect(problems(text).join('\n')).to.include(problem);
    });
  }

  it('with an unknown key is refused with the nearest known one', () => {
    expect(problems('clustr: a\ncluster: a')).to.deep.equal([
      'clustr: unknown key, did you mean "cluster"?',
    ]);
    expect(problems('cluster: a\nzzzzzz: 1')).to.deep.equal(['zzzzzz: unknown key']);
    expect(problems('cluster: a\nports: [{prot: 1, port: 1, protocol: tcp}]')).to.deep.equal([
      'ports.0.prot: unknown key, did you mean "port"?',
    ]);
  });

  it('reports all its problems at once, every unknown key among them', () => {
    expect(problems('ttl: 5\nclustr: x\nadmni: y\nverbose: maybe')).to.deep.equal([
      'cluster: missing',
      'ttl: must be string, found "5"',
      'verbose: must be boolean, found "maybe"',
      'clustr: unknown key, did you mean "cluster"?',
      'admni: unknown key, did you mean "admin"?',
    ]);
  });

  it('shows the first 50 problems and counts the others', () => {
    const text = `cluster: a\n${Array.from({ length: 80 }, (_, i) => `unknown-${i}: 1`).join('\n')}`;
    const lines = problems(text);
    expect(lines).to.have.length(51);
    expect(lines.at(-1)).to.equal('and 30 more');
  });

  it('shows only the beginning of a long value', () => {
    expect(problems(`cluster: a\nverbose: ${'x'.repeat(1000)}`)[0]).to.have.length.below(100);
  });

  for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
    it(`refuses the key ${key} and pollutes nothing`, () => {
      expect(problems(`cluster: a\n${key}: { polluted: true }`)).to.deep.equal([
        `${key}: unknown key`,
      ]);
      expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined);
    });
  }

  it('refuses an alias bomb, and allows plain reuse', () => {
    const level = (name: string, of: string): string =>
      `${name}: &${name} [${Array.from({ length: 9 }, () => of).join(', ')}]`;
    const bomb = [level('a', '1'), level('b', '*a'), level('c', '*b'), level('d', '*c')].join('\n');
    expect(problems(bomb).join()).to.include('Excessive alias count');
    expect(parse('cluster: &name east\nadmin: 127.0.0.1:1').cluster).to.equal('east');
    const ports = '[&p {port: 1, protocol: tcp}, *p]';
    expect(parse(`cluster: a\nports: ${ports}`).ports).to.have.length(2);
  });

  it('reads "no" as text and 010 as ten, whatever YAML version the file claims', () => {
    expect(parse('cluster: no').cluster).to.equal('no');
    expect(parse('%YAML 1.1\n---\ncluster: no').cluster).to.equal('no');
    expect(parse('cluster: a\nports: [{port: 010, protocol: tcp}]').ports[0]?.port).to.equal(10);
    expect(problems('cluster: a\nverbose: yes')).to.deep.equal([
      'verbose: must be boolean, found "yes"',
    ]);
  });

  it('does not merge "<<" keys', () => {
    expect(problems('<<: { cluster: a }\ncluster: b')).to.deep.equal(['<<: unknown key']);
  });
});

describe('a duration', () => {
  const units = { '250ms': 250, '30s': 30_000, '5m': 300_000, '1h': 3_600_000, '7d': 604_800_000 };
  for (const [text, ms] of Object.entries(units)) {
    it(`of ${text} is ${ms} milliseconds`, () => {
      expect(parse(`cluster: a\nttl: ${text}`).ttl).to.equal(ms);
    });
  }
  for (const text of ['-1s', '1.5s', '1 s', '1S', '1w', 's', '1e3s', '01s', '9999999999s']) {
    it(`of ${text} is refused`, () => {
      expect(problems(`cluster: a\nttl: "${text}"`)[0]).to.include('must be a number and a unit');
    });
  }
});

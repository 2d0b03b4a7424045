/** No circles and no idle exports in the code as it is, and both rules can fail. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { idleExports, importCircles } from './import-rules.ts';
import { parseFile, readSources } from './source-files.ts';

const files = ['src', 'test', 'bench', 'soak']
  .flatMap(dir => readSources(dir))
  .filter(({ path }) => !path.startsWith('src/wire/generated/'))
  .map(parseFile);

function parse(sources: Readonly<Record<string, string>>) {
  return Object.entries(sources).map(([path, text]) => parseFile({ path, text }));
}

describe('imports', () => {
  it('go round in no circle', () => {
    expect(files.length).to.be.greaterThan(20);
    expect(importCircles(files)).to.deep.equal([]);
  });

  it('may meet again in one file', () => {
    const diamond = parse({
      'src/a.ts': `import { b } from './b.ts'; import { c } from './c.ts';`,
      'src/b.ts': `import { d } from './d.ts';`,
      'src/c.ts': `import { d } from './d.ts';`,
      'src/d.ts': '',
    });
    expect(importCircles(diamond)).to.deep.equal([]);
  });

  it('may not lead back, not even for a type', () => {
    const circle = parse({
      'src/a.ts': `import { b } from './b.ts';`,
      'src/b.ts': `import { c } from './c.ts';`,
      'src/c.ts': `import type { B } from './b.ts';`,
    });
    expect(importCircles(circle)).to.deep.equal(['src/b.ts -> src/c.ts -> src/b.ts']);
  });
});

describe('exports', () => {
  it('are all imported somewhere, and not by tests alone', () => {
    expect(idleExports(files)).to.deep.equal([]);
  });

  it('may be taken by name, through another file, as a whole, or by a test when used at home', () => {
    const taken = parse({
      'src/a.ts': 'export const a = 1; export function b() {} export class C {}',
      'src/client.ts': `export { a } from './a.ts';`,
      'src/d.ts': `import { a as mine } from './client.ts'; import * as all from './a.ts';`,
      'src/main.ts': `import './d.ts'; export function main() {}`,
      'src/e.ts': 'export const LIMIT = 1; export const limit = () => LIMIT;',
      'src/f.ts': `import { limit } from './e.ts';`,
      'test/e.test.ts': `import { LIMIT } from '../src/e.ts';`,
    });
    expect(idleExports(taken)).to.deep.equal([]);
  });

  it('may not be idle, passed on for nobody, or alive in tests alone', () => {
    const idle = parse({
      'src/a.ts': 'export const a = 1; const b = a; export function c() {}',
      'src/client.ts': `export { c, type D } from './a.ts';`,
      'src/d.ts': `import { c } from './client.ts';`,
      'src/e.ts': 'export const e = 1;',
      'test/e.test.ts': `import { e } from '../src/e.ts';`,
    });
    expect(idleExports(idle)).to.deep.equal([
      'src/a.ts: nobody imports a',
      'src/client.ts: nobody imports D',
      'src/e.ts: only tests use e',
    ]);
  });
});

/** docs/failure-modes.md promises nothing that no test shows. */

import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { failureModeGaps } from './doc-rules.ts';

const read = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, 'utf8') : undefined;

describe('docs/failure-modes.md', () => {
  it('names an existing test for each failure', () => {
    expect(failureModeGaps(readFileSync('docs/failure-modes.md', 'utf8'), read)).to.deep.equal([]);
  });

  const page =
    '| what | what happens | shown by |\n|---|---|---|\n| x dies | y | `test/a.test.ts`: z stays |\n';

  it('is complete when the named test has the named title', () => {
    expect(failureModeGaps(page, () => `it('z stays', () => {`)).to.deep.equal([]);
  });

  it('is incomplete when the file or the title is gone, or a row names no test', () => {
    expect(failureModeGaps(page, () => undefined)).to.deep.equal([
      'x dies: no file test/a.test.ts',
    ]);
    expect(failureModeGaps(page, () => `it('z goes', `)).to.deep.equal([
      'x dies: test/a.test.ts has no "z stays"',
    ]);
    expect(failureModeGaps('| x dies | y | somewhere |', () => '')).to.deep.equal([
      'x dies: names no test',
    ]);
  });
});

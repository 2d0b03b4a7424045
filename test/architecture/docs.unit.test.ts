/** The reference pages list what the code has, and the comparison can fail. */

import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ERROR_CODES } from '../../src/mesh/errors.ts';
import {
  dependencyPageGaps,
  errorPageGaps,
  limitPageGaps,
  metricPageGaps,
  namesOfNoFile,
} from './doc-rules.ts';
import { readSources } from './source-files.ts';

describe('docs/errors.md', () => {
  it('has one section for every error code', () => {
    expect(errorPageGaps(ERROR_CODES, readFileSync('docs/errors.md', 'utf8'))).to.deep.equal([]);
  });

  it('is complete when each code has its section', () => {
    expect(errorPageGaps(['A_B', 'C'], '# Errors\n\n## A_B\ntext\n\n## `C`\n')).to.deep.equal([]);
  });

  it('is incomplete without a section, with one too many, and with one twice', () => {
    const page = '## C\n### A_B\nmentions A_B\n## D\n## C\n';
    expect(errorPageGaps(['A_B', 'C'], page)).to.deep.equal([
      'no section for A_B',
      'no such code: D',
      'two sections for C',
    ]);
  });
});

describe('docs/limits.md', () => {
  it('names every limit', () => {
    const page = readFileSync('docs/limits.md', 'utf8');
    expect(limitPageGaps(readSources('src'), page)).to.deep.equal([]);
  });

  const files = [
    { path: 'src/sidecar/limits.ts', text: 'export const STREAMS_MAX = 1;\nconst private_ = 2;' },
    { path: 'src/sidecar/other.ts', text: 'export const NOT_A_LIMIT = 1;' },
  ];

  it('is complete when each exported limit is named', () => {
    expect(limitPageGaps(files, '| `STREAMS_MAX` | 1 |')).to.deep.equal([]);
  });

  it('is incomplete when a limit is missing or only part of another name', () => {
    expect(limitPageGaps(files, '| `STREAMS_MAX_TOTAL` |')).to.deep.equal([
      'src/sidecar/limits.ts: STREAMS_MAX is not described',
    ]);
  });
});

describe('docs/metrics.md', () => {
  it('names every metric and no other', () => {
    const page = readFileSync('docs/metrics.md', 'utf8');
    expect(metricPageGaps(readSources('src'), page)).to.deep.equal([]);
  });

  const files = [
    {
      path: 'src/sidecar/metrics.ts',
      text: `new Gauge({ name: 'isthmus_a', help: 'isthmus_a is' }); counter('istio_b_total', 'x');`,
    },
    { path: 'src/sidecar/other.ts', text: `const name = 'isthmus_elsewhere';` },
  ];

  it('is complete when each metric is named', () => {
    const page = '`isthmus_a` and `istio_b_total{source,destination}`; `process_cpu_seconds_total`';
    expect(metricPageGaps(files, page)).to.deep.equal([]);
  });

  it('is incomplete when a metric is missing or one is gone', () => {
    expect(metricPageGaps(files, '`isthmus_a` `isthmus_gone`')).to.deep.equal([
      'istio_b_total is not described',
      'no such metric: isthmus_gone',
    ]);
  });
});

describe('docs/dependencies.md', () => {
  it('names every package, with its licence if it is loaded', () => {
    const read = (path: string): Record<string, unknown> =>
      JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    const licenceOf = (name: string): string =>
      String(read(`node_modules/${name}/package.json`)['license']).replaceAll(/[()]/g, '');
    const manifest = read('package.json') as unknown as Parameters<typeof dependencyPageGaps>[1];
    const page = readFileSync('docs/dependencies.md', 'utf8');
    expect(dependencyPageGaps(page, manifest, licenceOf)).to.deep.equal([]);
  });

  const manifest = {
    dependencies: { a: '1', b: '1' },
    devDependencies: { c: '1', '@types/d': '1' },
  };

  it('is complete with a row for each and a word on those of development', () => {
    const page = '| `a` | MIT | x |\n| `b` | MIT | x |\nDevelopment: `c`';
    expect(dependencyPageGaps(page, manifest, () => 'MIT')).to.deep.equal([]);
  });

  it('is incomplete without a row, with another licence, with one too many, without a word', () => {
    const page = '| `a` | ISC | x |\n| `e` | MIT | x |';
    expect(dependencyPageGaps(page, manifest, () => 'MIT')).to.deep.equal([
      'a: no row that says MIT',
      'b: no row that says MIT',
      'e is gone',
      'c is not named',
    ]);
  });
});

describe('prose', () => {
  const folders = ['src', 'test', 'bench', 'soak'];
  const sources = folders.flatMap(dir => readSources(dir));
  const paths = sources.map(({ path }) => path);
  const pages = [...folders, 'docs'].flatMap(dir => readSources(dir, '.md'));

  it('names only files that exist, in every page', () => {
    expect(pages.length).to.be.greaterThan(50);
    const gone = pages.flatMap(({ path, text }) =>
      namesOfNoFile(text, paths).map(name => `${path}: ${name}`),
    );
    expect(gone).to.deep.equal([]);
  });

  it('names only files that exist, in every comment at the head of a file', () => {
    const gone = sources
      .filter(({ path }) => !path.startsWith('src/wire/generated/'))
      .flatMap(({ path, text }) => {
        const head = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '';
        return namesOfNoFile(head, paths).map(name => `${path}: ${name}`);
      });
    expect(gone).to.deep.equal([]);
  });

  it('may name a file by its end, and not one that is gone', () => {
    const text = 'see `table/rewind.ts`, rewind.ts and *.unit.test.ts, but not table/gone.ts';
    expect(namesOfNoFile(text, ['src/global-registry/table/rewind.ts'])).to.deep.equal([
      'table/gone.ts',
    ]);
  });
});

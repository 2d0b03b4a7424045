/** The reference pages list what the code has, and the comparison can fail. */

import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ERROR_CODES } from '../../src/mesh/errors.ts';
import { errorPageGaps, limitPageGaps, metricPageGaps } from './doc-rules.ts';
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

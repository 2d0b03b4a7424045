/**
 * What the reference pages promise to list, compared with what the code declares.
 *
 * Pure, so that each comparison can be shown to fail on made-up pages.
 */

import ts from 'typescript';
import type { SourceFile } from './source-files.ts';

/** `docs/errors.md`: exactly one `## CODE` section a code, and none for a code that is gone. */
export function errorPageGaps(codes: readonly string[], page: string): string[] {
  const sections = [...page.matchAll(/^## `?([A-Z][A-Z0-9_]*)`?\s*$/gm)].map(
    match => match[1] ?? '',
  );
  return [
    ...codes.filter(code => !sections.includes(code)).map(code => `no section for ${code}`),
    ...sections.filter(code => !codes.includes(code)).map(code => `no such code: ${code}`),
    ...sections
      .filter((code, i) => sections.indexOf(code) !== i)
      .map(code => `two sections for ${code}`),
  ];
}

/** `docs/limits.md`: names every constant that a limits.ts exports. */
export function limitPageGaps(files: readonly SourceFile[], page: string): string[] {
  return files
    .filter(file => file.path.endsWith('/limits.ts'))
    .flatMap(file =>
      [...file.text.matchAll(/^export const (\w+)/gm)]
        .map(match => match[1] ?? '')
        .filter(name => !new RegExp(`\\b${name}\\b`).test(page))
        .map(name => `${file.path}: ${name} is not described`),
    );
}

/** Our own metrics; those of Node and of the process are prom-client's to describe. */
const METRIC = /^(?:isthmus|istio)_[a-z0-9_]+$/;

/** `docs/metrics.md`: names every metric that a file of metrics declares, and none that is gone. */
export function metricPageGaps(files: readonly SourceFile[], page: string): string[] {
  const declared = new Set(
    files.filter(file => file.path.endsWith('metrics.ts')).flatMap(metricsDeclaredIn),
  );
  const described = new Set(
    [...page.matchAll(/`([^`\s{]+)(?:\{[^`]*\})?`/g)]
      .map(match => match[1] ?? '')
      .filter(name => METRIC.test(name)),
  );
  return [
    ...[...declared].filter(name => !described.has(name)).map(name => `${name} is not described`),
    ...[...described].filter(name => !declared.has(name)).map(name => `no such metric: ${name}`),
  ];
}

/** Metric names are the string literals that look like one, however the metric is constructed. */
function metricsDeclaredIn(file: SourceFile): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && METRIC.test(node.text)) names.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest));
  return names;
}

/** `docs/dependencies.md`: a row with its licence for each package that is loaded, and a word on each other. */
export function dependencyPageGaps(
  page: string,
  manifest: {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly devDependencies: Readonly<Record<string, string>>;
  },
  licenceOf: (name: string) => string,
): string[] {
  const rows = new Map(
    [...page.matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm)].map(([, name = '', licence = '']) => [
      name,
      licence,
    ]),
  );
  const loaded = Object.keys(manifest.dependencies);
  return [
    ...loaded
      .filter(name => rows.get(name) !== licenceOf(name))
      .map(name => `${name}: no row that says ${licenceOf(name)}`),
    ...[...rows.keys()].filter(name => !loaded.includes(name)).map(name => `${name} is gone`),
    ...Object.keys(manifest.devDependencies)
      .filter(name => !name.startsWith('@types/') && !page.includes(`\`${name}\``))
      .map(name => `${name} is not named`),
  ];
}

/** Names of source files, as `folder/file.ts` or `file.ts`, that end no path of the repository. */
export function namesOfNoFile(text: string, paths: readonly string[]): string[] {
  const named = [...text.matchAll(/(?<![\w*{}./-])((?:[a-z0-9-]+\/)*[a-z0-9-]+\.ts)\b/g)];
  return [...new Set(named.map(([, name = '']) => name))].filter(
    name => !paths.some(path => path === name || path.endsWith(`/${name}`)),
  );
}

/** `docs/failure-modes.md`: each row of its tables ends in a test's file and title, both of which exist. */
export function failureModeGaps(
  page: string,
  read: (path: string) => string | undefined,
): string[] {
  const rows = page
    .split('\n')
    .filter(
      line => line.startsWith('|') && !/^\|[-|]+\|$/.test(line) && !line.includes('shown by'),
    );
  return rows.flatMap(row => {
    const cells = row.slice(1, -1).split('|');
    const [failure = '', , shownBy = ''] = cells.map(cell => cell.trim());
    const [, path, title] = /^`([^`]+)`: (.+)$/.exec(shownBy) ?? [];
    if (path === undefined || title === undefined) return [`${failure}: names no test`];
    const source = read(path);
    if (source === undefined) return [`${failure}: no file ${path}`];
    // Of a table of tests the title is a template.
    const has = source.includes(`it('${title}'`) || source.includes(`it(\`${title}\``);
    return has ? [] : [`${failure}: ${path} has no "${title}"`];
  });
}

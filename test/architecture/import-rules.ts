/**
 * What must hold between files, whatever their folders: nothing goes round in circles, and nothing is
 * offered that nobody takes.
 *
 * Pure, like layer-rules.ts.
 */

import { type ParsedFile, resolveImport } from './source-files.ts';

/** Each circle once, as its files in the order in which they import each other. Types count too. */
export function importCircles(files: readonly ParsedFile[]): string[] {
  const byPath = new Map(files.map(file => [file.path, file]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const begin = trail.indexOf(path);
    if (begin >= 0) circles.push([...trail.slice(begin), path].join(' -> '));
    const file = byPath.get(path);
    if (begin >= 0 || done.has(path) || file === undefined) return;
    for (const target of targetsOf(file)) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return circles;
}

/**
 * Exports that no other file takes, and those of src that tests alone take and their own file does not
 * use: code that only its tests keep alive. Whoever starts a process takes its `main`.
 */
export function idleExports(files: readonly ParsedFile[]): string[] {
  const takers = new Map<string, string[]>();
  for (const file of files) {
    for (const { specifier, names } of file.imports) {
      const target = resolveImport(file.path, specifier);
      for (const name of names ?? ['*']) {
        const key = `${target ?? ''} ${name}`;
        takers.set(key, [...(takers.get(key) ?? []), file.path]);
      }
    }
  }
  return files.flatMap(({ path, exports, names }) =>
    exports
      .filter(name => name !== 'main')
      .flatMap(name => {
        const taken = [`${path} ${name}`, `${path} *`].flatMap(key => takers.get(key) ?? []);
        if (taken.length === 0) return [`${path}: nobody imports ${name}`];
        const isLive = names.has(name) || taken.some(taker => !taker.startsWith('test/'));
        return isLive || !path.startsWith('src/') ? [] : [`${path}: only tests use ${name}`];
      }),
  );
}

function targetsOf(file: ParsedFile): string[] {
  return file.imports.flatMap(({ specifier }) => resolveImport(file.path, specifier) ?? []);
}

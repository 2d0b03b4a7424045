/**
 * Source text as facts: what a file imports, exports and mentions, read by the TypeScript parser.
 *
 * Shared by the tests of this folder. Knows no rule; `layer-rules.ts` judges.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';

/** A path relative to the repository, such as `src/mesh/names.ts`, and what is in it. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly specifier: string;
  /** `type`: erased by the compiler. `dynamic`: `import()`, loaded when reached. */
  readonly kind: 'static' | 'type' | 'dynamic';
  /** What it takes from there; undefined: all there is. */
  readonly names: readonly string[] | undefined;
}

export interface ParsedFile {
  readonly path: string;
  readonly imports: readonly Import[];
  readonly hasDefaultExport: boolean;
  /** Constants, functions and classes, and whatever is passed on from another file. */
  readonly exports: readonly string[];
  /** Every name used as a value or a type, and every dotted one (`Math.random`). */
  readonly names: ReadonlySet<string>;
}

/** All files under a folder of the repository; tests run from its root. */
export function readSources(dir: string, ending = '.ts'): SourceFile[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => posix.join(entry.parentPath, entry.name))
    .map(path => ({ path, text: readFileSync(path, 'utf8') }));
}

export function parseFile(file: SourceFile): ParsedFile {
  const imports: Import[] = [];
  const names = new Set<string>();
  const exports: string[] = [];
  let hasDefaultExport = false;
  const visit = (node: ts.Node): void => {
    const found = importOf(node);
    if (found !== undefined) imports.push(found);
    if (isDefaultExport(node)) hasDefaultExport = true;
    exports.push(...exportsOf(node));
    if (ts.isIdentifier(node) && !isPropertyName(node) && !isDeclared(node)) names.add(node.text);
    if (ts.isPropertyAccessExpression(node)) names.add(node.getText());
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true));
  return { path: file.path, imports, hasDefaultExport, exports, names };
}

/** The repository path a relative import leads to; undefined for packages and Node's own modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined;
}

/** `@grpc/grpc-js` for `@grpc/grpc-js/build/x`, `node-forge` for `node-forge/lib/asn1`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Packages that are loaded with a file, through everything it imports statically. */
export function packagesLoadedBy(
  entries: readonly string[],
  files: readonly ParsedFile[],
): Set<string> {
  const byPath = new Map(files.map(file => [file.path, file]));
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { specifier, kind } of byPath.get(path)?.imports ?? []) {
      if (kind !== 'static' || isBuiltin(specifier)) continue;
      const target = resolveImport(path, specifier);
      if (target === undefined) packages.add(packageOf(specifier));
      else visit(target);
    }
  };
  entries.forEach(visit);
  return packages;
}

function importOf(node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const erased = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    const bindings = node.importClause?.namedBindings;
    const names =
      bindings !== undefined && ts.isNamedImports(bindings)
        ? namesIn(bindings.elements)
        : undefined;
    return { specifier: node.moduleSpecifier.text, kind: erased ? 'type' : 'static', names };
  }
  if (
    ts.isExportDeclaration(node) &&
    node.moduleSpecifier !== undefined &&
    ts.isStringLiteral(node.moduleSpecifier)
  ) {
    const { exportClause: clause, isTypeOnly } = node;
    const names =
      clause !== undefined && ts.isNamedExports(clause) ? namesIn(clause.elements) : undefined;
    return { specifier: node.moduleSpecifier.text, kind: isTypeOnly ? 'type' : 'static', names };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const target = node.arguments[0];
    // A computed target could be anything, which no rule allows.
    const specifier = target !== undefined && ts.isStringLiteralLike(target) ? target.text : '?';
    return { specifier, kind: 'dynamic', names: undefined };
  }
  return undefined;
}

/** By the names they have where they come from. */
function namesIn(elements: ts.NodeArray<ts.ImportSpecifier | ts.ExportSpecifier>): string[] {
  return elements.map(({ name, propertyName }) => (propertyName ?? name).text);
}

function exportsOf(node: ts.Node): string[] {
  if (ts.isExportDeclaration(node) && node.exportClause !== undefined) {
    return ts.isNamedExports(node.exportClause)
      ? node.exportClause.elements.map(({ name }) => name.text)
      : [];
  }
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    );
  }
  const isNamed = ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node);
  return isNamed && node.name !== undefined ? [node.name.text] : [];
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  return modifiers.some(modifier => modifier.kind === ts.SyntaxKind.DefaultKeyword);
}

function isDeclared(node: ts.Identifier): boolean {
  const { parent } = node;
  return (
    (ts.isVariableDeclaration(parent) ||
      ts.isFunctionDeclaration(parent) ||
      ts.isClassDeclaration(parent)) &&
    parent.name === node
  );
}

function isPropertyName(node: ts.Identifier): boolean {
  const { parent } = node;
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isPropertyAssignment(parent) && parent.name === node) ||
    (ts.isPropertySignature(parent) && parent.name === node)
  );
}

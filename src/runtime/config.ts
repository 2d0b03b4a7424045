/**
 * Configuration files: YAML, strict, every problem reported at once.
 *
 * A problem reads `path: what is wrong, found "x"`; an unknown key names the nearest known one. YAML
 * is the 1.2 core schema (`no` is text, `010` is ten), without duplicate keys, custom tags or alias bombs.
 */

import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { parseDocument } from 'yaml';
import { parseAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError, messageOf } from '../mesh/errors.ts';
import * as names from '../mesh/names.ts';
import { parseTrustDomain, requireSpiffeId } from '../mesh/spiffe-id.ts';

/** Above any honest configuration; refuses a 50 MB file before parsing it. */
const CONFIG_BYTES_MAX = 1024 * 1024;
const ALIASES_MAX = 100;
/** Problems shown of a file; the others are counted. */
const PROBLEMS_MAX = 50;

/** Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export function loadConfig<S extends Schema>(file: string, schema: S): v.InferOutput<S> {
  return parseConfig(readConfig(file), file, schema);
}

/** Throws CONFIG_UNREADABLE. */
export function readConfig(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > CONFIG_BYTES_MAX) {
      throw new Error(`it is ${size} bytes long; the limit is ${CONFIG_BYTES_MAX}`);
    }
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing ? 'does not exist' : `cannot be read: ${messageOf(cause)}`;
    throw new MeshError('CONFIG_UNREADABLE', `config file "${file}" ${why}`, { cause });
  }
}

type Schema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

/** `file` only labels the problems. Throws CONFIG_INVALID. */
export function parseConfig<S extends Schema>(
  text: string,
  file: string,
  schema: S,
): v.InferOutput<S> {
  const result = v.safeParse(schema, parseYaml(text, file), { abortEarly: false });
  if (result.success) return result.output;
  throw invalid(file, result.issues.flatMap(describeIssue));
}

function parseYaml(text: string, file: string): unknown {
  try {
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: true,
      stringKeys: true,
    });
    const syntax = [...document.errors, ...document.warnings].map(
      problem => problem.message.split('\n')[0]?.replace(/:$/, '') ?? '',
    );
    if (syntax.length > 0) throw invalid(file, syntax);
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    // Too many aliases, or nested deeper than the stack.
    throw error instanceof MeshError ? error : invalid(file, [messageOf(error)]);
  }
}

function invalid(file: string, problems: readonly string[]): MeshError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const shown = problems.slice(0, PROBLEMS_MAX);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  return new MeshError(
    'CONFIG_INVALID',
    [`config file "${file}" has ${count}:`, ...shown.map(line => `  ${line}`)].join('\n'),
    { details: { file, problems: problems.length } },
  );
}

function describeIssue(issue: v.BaseIssue<unknown>): string[] {
  const path = v.getDotPath(issue) ?? '(top level)';
  if (issue.type === 'strict_object' && issue.expected === 'never') return unknownKeys(issue);
  if (issue.received === 'undefined') return [`${path}: missing`];
  return [`${path}: ${expectation(issue)}, found ${shown(issue.input)}`];
}

/** Valibot stops at an object's first unknown key; its users want to hear of all. */
function unknownKeys(issue: v.BaseIssue<unknown>): string[] {
  const known = knownKeys(issue);
  const path = issue.path ?? [];
  const parent = path.slice(0, -1).map(item => String(item.key));
  return Object.keys(path.at(-1)?.input ?? {})
    .filter(key => !known.includes(key))
    .map(key => {
      const near = nearest(key, known);
      const hint = near === undefined ? '' : `, did you mean "${near}"?`;
      return `${[...parent, key].join('.')}: unknown key${hint}`;
    });
}

function expectation(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== 'schema') return issue.message;
  const expected = issue.expected ?? 'something else';
  return `must be ${expected.replaceAll(/["()]/g, '').replaceAll(' | ', ' or ').toLowerCase()}`;
}

function shown(input: unknown): string {
  if (input === null || input === undefined) return 'nothing';
  if (Array.isArray(input)) return `a list of ${input.length}`;
  if (typeof input === 'object') return 'a mapping';
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
}

/** The keys of the object an unknown key was found in, carried in the schema's message. */
function knownKeys(issue: v.BaseIssue<unknown>): readonly string[] {
  return issue.message.startsWith(KEYS) ? issue.message.slice(KEYS.length).split(' ') : [];
}
const KEYS = 'known keys: ';

/** An object without unknown keys; the problem report names the nearest known one. */
export function object<const E extends v.ObjectEntries>(entries: E) {
  return v.strictObject(entries, issue =>
    issue.expected === 'never' ? `${KEYS}${Object.keys(entries).join(' ')}` : issue.message,
  );
}

function nearest(key: string, known: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(key.toLowerCase(), name.toLowerCase());
    if (best === undefined || distance < best.distance) best = { name, distance };
  }
  return best !== undefined && best.distance <= Math.min(3, best.name.length / 2)
    ? best.name
    : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** A string that a parser accepts, as the value it makes of it. */
export function parsed<T>(parse: (text: string) => T) {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        addIssue({ message: messageOf(error) });
        return NEVER;
      }
    }),
  );
}

export const clusterName = () => parsed(names.parseClusterName);
export const namespace = () => parsed(names.parseNamespace);
export const serviceName = () => parsed(names.parseServiceName);
export const workloadName = () => parsed(names.parseWorkloadName);
export const serviceAccount = () => parsed(names.parseServiceAccount);
export const trustDomain = () => parsed(parseTrustDomain);
export const spiffeId = () => parsed(requireSpiffeId);
export const address = () => parsed((text): SocketAddress => parseAddress(text));
export const port = () =>
  v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(1, 'must be 1 to 65535'),
    v.maxValue(65535, 'must be 1 to 65535'),
  );

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `250ms`, `30s`, `5m`, `1h`, `7d` as milliseconds. */
export const duration = () =>
  parsed(text => {
    const match = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text);
    const unit = UNIT_MS[match?.[2] ?? ''];
    if (unit === undefined) {
      throw new MeshError(
        'CONFIG_INVALID',
        `duration ${JSON.stringify(text)} must be a number and a unit, such as 250ms, 30s, 5m, 1h`,
      );
    }
    return Number(match?.[1]) * unit;
  });

/** `70%` as 70. */
export const percent = (min: number, max: number) =>
  parsed(text => {
    const value = Number(/^(0|[1-9][0-9]{0,3})%$/.exec(text)?.[1] ?? Number.NaN);
    if (value >= min && value <= max) return value;
    throw new MeshError('CONFIG_INVALID', `must be a percentage from ${min}% to ${max}%`);
  });

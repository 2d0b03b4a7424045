/**
 * Configuration files: YAML, strict, every problem reported at once.
 *
 * A problem reads `path: what is wrong, found "x"`; an unknown key names the nearest known one. YAML
 * is the 1.2 core schema (no octal, no yes/no booleans), without duplicate keys, tags or alias bombs.
 */

import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { parseDocument } from 'yaml';
import { parseAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError, messageOf } from '../mesh/errors.ts';
import * as names from '../mesh/names.ts';
import { parseTrustDomain } from '../mesh/spiffe-id.ts';

/** Above any honest configuration; refuses a 50 MB file before parsing it. */
const CONFIG_BYTES_MAX = 1024 * 1024;
const ALIASES_MAX = 100;

/** Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export function loadConfig<S extends Schema>(file: string, schema: S): v.InferOutput<S> {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > CONFIG_BYTES_MAX) {
      throw new Error(`is ${size} bytes long; the limit is ${CONFIG_BYTES_MAX}`);
    }
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MeshError('CONFIG_UNREADABLE', `config file "${file}": ${messageOf(cause)}`, {
      cause,
    });
  }
  return parseConfig(text, file, schema);
}

type Schema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

/** `file` only labels the problems. Throws CONFIG_INVALID. */
export function parseConfig<S extends Schema>(
  text: string,
  file: string,
  schema: S,
): v.InferOutput<S> {
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    stringKeys: true,
  });
  const syntax = [...document.errors, ...document.warnings].map(
    problem => problem.message.split('\n')[0] ?? '',
  );
  if (syntax.length > 0) throw invalid(file, syntax);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    throw invalid(file, [messageOf(error)]);
  }
  const result = v.safeParse(schema, value, { abortEarly: false });
  if (result.success) return result.output;
  throw invalid(
    file,
    result.issues.map(issue => describeIssue(issue)),
  );
}

function invalid(file: string, problems: readonly string[]): MeshError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new MeshError(
    'CONFIG_INVALID',
    [`config file "${file}" has ${count}:`, ...problems.map(p => `  ${p}`)].join('\n'),
    {
      details: { file, problems: problems.length },
    },
  );
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? '(top level)';
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const key = String(issue.path?.at(-1)?.key);
    const near = nearest(key, knownKeys(issue));
    return `${path}: unknown key${near === undefined ? '' : `, did you mean "${near}"?`}`;
  }
  if (issue.received === 'undefined') return `${path}: missing, ${expectation(issue)}`;
  return `${path}: ${expectation(issue)}, found ${shown(issue.input)}`;
}

function expectation(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== 'schema') return issue.message;
  return `must be ${(issue.expected ?? 'something else').replaceAll('"', '').replaceAll(' | ', ' or ').toLowerCase()}`;
}

function shown(input: unknown): string {
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
  return best !== undefined && best.distance <= Math.max(2, best.name.length / 3)
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

/** A string that one of the mesh's own parsers accepts, as the branded value. */
function parsed<T>(parse: (text: string) => T) {
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

/**
 * The layer table of docs/architecture.md §2 as a function: parsed files to the lines that break it.
 *
 * Pure, so that every rule can be shown to fail on a made-up file.
 */

import { isBuiltin } from 'node:module';
import { type ParsedFile, packagesLoadedBy, resolveImport } from './source-files.ts';

const FOUNDATION = ['mesh', 'wire', 'runtime', 'trust-federation'];
const AGENT_DOOR = 'cluster-agent/client.ts';
const REGISTRY_DOOR = 'global-registry/client.ts';

/** Folders and files that each folder of src/ may import besides its own. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  mesh: [],
  wire: ['mesh'],
  runtime: ['mesh'],
  'trust-federation': ['mesh', 'wire', 'runtime'],
  'global-registry': FOUNDATION,
  'cluster-agent': [...FOUNDATION, REGISTRY_DOOR],
  sidecar: [...FOUNDATION, AGENT_DOOR],
  'east-west-gateway': [...FOUNDATION, AGENT_DOOR],
  cli: [
    ...FOUNDATION,
    AGENT_DOOR,
    REGISTRY_DOOR,
    'sidecar/client.ts',
    'east-west-gateway/client.ts',
  ],
};

/** Pure codecs may compute; they may not reach a file, a socket, a process or a timer. */
const WIRE_BUILTINS = ['node:assert', 'node:buffer', 'node:crypto', 'node:util', 'node:zlib'];

/** I/O, clocks, randomness and Node's own types. */
const NOT_IN_MESH = [
  'Buffer',
  'Date',
  'Math.random',
  'console',
  'crypto',
  'fetch',
  'performance',
  'process',
  'setImmediate',
  'setInterval',
  'setTimeout',
];

/** All that a sidecar may load: it runs beside every workload, so its memory is paid for many times. */
const SIDECAR_PACKAGES = [
  '@bufbuild/protobuf',
  '@grpc/grpc-js',
  'node-forge',
  'pino',
  'prom-client',
  'valibot',
  'yaml',
];

/** Every breach as `path: what is wrong`; empty when the rules hold. */
export function layerBreaches(files: readonly ParsedFile[]): string[] {
  return [
    ...files.flatMap(file => [
      ...arrowBreaches(file),
      ...builtinBreaches(file),
      ...shapeBreaches(file),
      ...forgeBreaches(file),
    ]),
    ...sidecarBreaches(files),
  ];
}

function arrowBreaches(file: ParsedFile): string[] {
  const folder = folderOf(file.path);
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined)
    return [`${file.path}: "${folder}" is not a folder of the layer table`];
  return file.imports.flatMap(({ specifier }) => {
    if (specifier === '?') return [`${file.path}: imports a computed name`];
    const target = resolveImport(file.path, specifier);
    if (target === undefined) return [];
    if (!target.startsWith('src/')) return [`${file.path}: imports ${target}, outside src`];
    const inside = target.slice('src/'.length);
    const mayImport = [folder, ...allowed].some(
      entry => inside === entry || inside.startsWith(`${entry}/`),
    );
    return mayImport ? [] : [`${file.path}: may not import ${target}`];
  });
}

function builtinBreaches(file: ParsedFile): string[] {
  const folder = folderOf(file.path);
  if (folder !== 'mesh' && folder !== 'wire') return [];
  const allowed = folder === 'wire' ? WIRE_BUILTINS : [];
  const external = file.imports
    .map(({ specifier }) => specifier)
    .filter(specifier => !specifier.startsWith('.'));
  const builtins = external
    .filter(specifier => isBuiltin(specifier) && !allowed.includes(specifier))
    .map(specifier => `${file.path}: ${folder} may not import ${specifier}`);
  if (folder === 'wire') return builtins;
  const packages = external
    .filter(specifier => !isBuiltin(specifier))
    .map(specifier => `${file.path}: mesh may not import the package ${specifier}`);
  const globals = NOT_IN_MESH.filter(name => file.names.has(name)).map(
    name => `${file.path}: mesh may not use ${name}`,
  );
  return [...builtins, ...packages, ...globals];
}

function shapeBreaches(file: ParsedFile): string[] {
  const breaches: string[] = [];
  if (/\/index\.ts$/.test(file.path)) breaches.push(`${file.path}: no barrels`);
  if (/\/(utils?|helpers?|common)\//.test(file.path)) {
    breaches.push(`${file.path}: name the folder after what is in it`);
  }
  if (file.hasDefaultExport) breaches.push(`${file.path}: no default exports`);
  return breaches;
}

/** Only its ASN.1 module is loaded elsewhere, by path (trust-federation/x509/der.ts). */
function forgeBreaches(file: ParsedFile): string[] {
  const loaded = file.imports.some(({ specifier, kind }) => {
    return specifier === 'node-forge' && kind !== 'type';
  });
  return loaded && folderOf(file.path) !== 'cli'
    ? [`${file.path}: node-forge's PKI code is for the command line alone`]
    : [];
}

function sidecarBreaches(files: readonly ParsedFile[]): string[] {
  const entries = files.map(file => file.path).filter(path => path.startsWith('src/sidecar/'));
  return [...packagesLoadedBy(entries, files)]
    .filter(name => !SIDECAR_PACKAGES.includes(name))
    .map(name => `src/sidecar: loads the package ${name}`);
}

function folderOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? path;
}

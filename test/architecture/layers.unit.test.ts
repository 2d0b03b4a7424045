/** The layer table holds for the code as it is, and each of its rules can fail. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { layerBreaches } from './layer-rules.ts';
import { parseFile, readSources } from './source-files.ts';

describe('the layers of src', () => {
  it('hold for every file', () => {
    const files = readSources('src').map(parseFile);
    expect(files.length).to.be.greaterThan(20);
    expect(layerBreaches(files)).to.deep.equal([]);
  });

  const allowed: readonly [string, string][] = [
    ['src/mesh/a.ts', `import { b } from './b.ts';`],
    ['src/wire/a.ts', `import { b } from '../mesh/b.ts'; import { inspect } from 'node:util';`],
    ['src/runtime/a.ts', `import { b } from '../mesh/b.ts'; import { readFile } from 'node:fs';`],
    ['src/trust-federation/a.ts', `import { b } from '../wire/generated/b.ts';`],
    ['src/global-registry/a.ts', `import { b } from '../trust-federation/b.ts'; import 'etcd3';`],
    ['src/cluster-agent/a.ts', `import { b } from '../global-registry/client.ts';`],
    ['src/sidecar/a.ts', `import { b } from '../cluster-agent/client.ts'; import 'yaml';`],
    ['src/sidecar/a.ts', `import type { b } from 'etcd3';`],
    ['src/east-west-gateway/a.ts', `import { b } from '../cluster-agent/client.ts';`],
    ['src/cli/a.ts', `import { b } from '../sidecar/client.ts'; import 'commander';`],
    ['src/cli/a.ts', `import forge from 'node-forge';`],
    ['src/mesh/a.ts', `// import { b } from '../wire/b.ts';\nconst text = "import('node:fs')";`],
    ['src/mesh/a.ts', 'interface A { readonly Date: number } const a = { process: 1 }; a.process;'],
  ];
  for (const [path, text] of allowed) {
    it(`allow ${path} to say ${text.replaceAll('\n', ' ')}`, () => {
      expect(layerBreaches([parseFile({ path, text })])).to.deep.equal([]);
    });
  }

  const refused: readonly [string, string, string][] = [
    ['src/mesh/a.ts', `import { b } from '../wire/b.ts';`, 'may not import src/wire/b.ts'],
    ['src/mesh/a.ts', `import type { b } from '../runtime/b.ts';`, 'may not import src/runtime'],
    ['src/mesh/a.ts', `export { b } from '../wire/b.ts';`, 'may not import src/wire/b.ts'],
    ['src/mesh/a.ts', `export * from '../wire/b.ts';`, 'may not import src/wire/b.ts'],
    ['src/mesh/a.ts', `await import('../wire/b.ts');`, 'may not import src/wire/b.ts'],
    ['src/mesh/a.ts', `await import(name);`, 'computed name'],
    ['src/mesh/a.ts', `import { b } from 'node:util';`, 'may not import node:util'],
    ['src/mesh/a.ts', `import { b } from 'yaml';`, 'may not import the package yaml'],
    ['src/mesh/a.ts', `const a = Buffer.alloc(1);`, 'may not use Buffer'],
    ['src/mesh/a.ts', `export function a(b: Buffer): void {}`, 'may not use Buffer'],
    ['src/mesh/a.ts', `const a = Date.now();`, 'may not use Date'],
    ['src/mesh/a.ts', `const a = Math.random();`, 'may not use Math.random'],
    ['src/wire/a.ts', `import { b } from '../runtime/b.ts';`, 'may not import src/runtime/b.ts'],
    ['src/wire/a.ts', `import { connect } from 'node:net';`, 'may not import node:net'],
    ['src/wire/a.ts', `import { connect } from 'net';`, 'may not import net'],
    ['src/wire/a.ts', `import { readFile } from 'node:fs/promises';`, 'may not import node:fs'],
    ['src/runtime/a.ts', `import { b } from '../wire/b.ts';`, 'may not import src/wire/b.ts'],
    ['src/trust-federation/a.ts', `import '../cluster-agent/client.ts';`, 'may not import'],
    ['src/global-registry/a.ts', `import '../cluster-agent/client.ts';`, 'may not import'],
    ['src/cluster-agent/a.ts', `import '../global-registry/store.ts';`, 'may not import'],
    ['src/cluster-agent/a.ts', `import '../sidecar/client.ts';`, 'may not import'],
    ['src/sidecar/a.ts', `import '../cluster-agent/snapshot.ts';`, 'may not import'],
    ['src/sidecar/a.ts', `import '../global-registry/client.ts';`, 'may not import'],
    ['src/sidecar/a.ts', `import '../east-west-gateway/client.ts';`, 'may not import'],
    ['src/east-west-gateway/a.ts', `import '../sidecar/client.ts';`, 'may not import'],
    ['src/cli/a.ts', `import '../cluster-agent/snapshot.ts';`, 'may not import'],
    ['src/cli/a.ts', `import '../../test/support/mesh.ts';`, 'outside src'],
    ['src/misc/a.ts', '', 'not a folder of the layer table'],
    ['src/a.ts', '', 'not a folder of the layer table'],
    ['src/trust-federation/a.ts', `import forge from 'node-forge';`, 'for the command line alone'],
    ['src/mesh/index.ts', '', 'no barrels'],
    ['src/runtime/utils/a.ts', '', 'name the folder'],
    ['src/mesh/a.ts', 'export default 1;', 'no default exports'],
    ['src/mesh/a.ts', 'export default function a() {}', 'no default exports'],
    ['src/mesh/a.ts', 'const a = 1; export { a as default };', 'no default exports'],
    ['src/sidecar/a.ts', `import { Etcd3 } from 'etcd3';`, 'loads the package etcd3'],
    ['src/sidecar/a.ts', `import '@grpc/proto-loader/build/x.js';`, '@grpc/proto-loader'],
  ];
  for (const [path, text, breach] of refused) {
    it(`refuse ${path} to say ${text === '' ? 'anything' : text}`, () => {
      const breaches = layerBreaches([parseFile({ path, text })]);
      expect(breaches.join('\n')).to.include(breach);
    });
  }

  it('see a heavy package behind the doors a sidecar goes through', () => {
    const files = [
      { path: 'src/sidecar/a.ts', text: `import { b } from '../cluster-agent/client.ts';` },
      { path: 'src/cluster-agent/client.ts', text: `export { c } from './c.ts';` },
      { path: 'src/cluster-agent/c.ts', text: `import { Command } from 'commander';` },
    ];
    expect(layerBreaches(files.map(parseFile))).to.deep.equal([
      'src/sidecar: loads the package commander',
    ]);
  });
});

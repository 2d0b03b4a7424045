/**
 * Makes one file each of the programs that run beside every workload: `dist/bundle/<component>/main.js`.
 *
 * A process pays for each module it loads and for every byte of source it keeps, so a sidecar in one file,
 * without white space and without what it never calls, is 5 MB smaller (docs/decisions/0062). Names are
 * kept, and lines are short, so a stack trace still says where; the source map beside it says where in `src`.
 */

import { build } from 'esbuild';

/** CommonJS packages in an ES module ask for Node's own modules with `require`. */
const REQUIRE =
  "import { createRequire as nodeRequire } from 'node:module'; const require = nodeRequire(import.meta.url);";

await build({
  entryPoints: ['dist/src/sidecar/main.js', 'dist/src/east-west-gateway/main.js'],
  outbase: 'dist/src',
  outdir: 'dist/bundle',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  banner: { js: REQUIRE },
  // What grpc-js would load for channelz and xDS, neither of which we use.
  external: ['@grpc/proto-loader'],
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 120,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
});

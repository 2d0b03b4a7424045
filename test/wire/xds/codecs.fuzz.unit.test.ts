/** Bytes that nobody wrote: refused with PROTOCOL_VIOLATION or read, never anything else. */

import fc from 'fast-check';
import { describe, it } from 'mocha';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { formatCallers, parseCallers } from '../../../src/wire/xds/callers.ts';
import { formatCluster, parseCluster } from '../../../src/wire/xds/cluster.ts';
import { formatGatewayListener, parseGatewayListener } from '../../../src/wire/xds/listener.ts';
import {
  formatLoadAssignment,
  parseGatewayAssignment,
  parseLoadAssignment,
} from '../../../src/wire/xds/load-assignment.ts';
import { formatHostRoutes, parseHostRoutes } from '../../../src/wire/xds/route-configuration.ts';
import { formatBundles, parseBundles } from '../../../src/wire/xds/secret.ts';
import { BUNDLE, CALLERS, endpoint, IDENTITY, NAME, POLICY, SNI } from './nouns.ts';

const assignment = formatLoadAssignment({
  name: NAME,
  overprovisioning: [140],
  endpoints: [endpoint('west', 0, ['a'])],
});
const parsers: readonly [name: string, honest: Buffer, parse: (bytes: Uint8Array) => unknown][] = [
  [
    'parseCluster',
    formatCluster({
      kind: 'upstream',
      name: NAME,
      protocol: 'tcp',
      policy: POLICY,
      identities: [IDENTITY],
    }),
    parseCluster,
  ],
  ['parseLoadAssignment', assignment, parseLoadAssignment],
  ['parseGatewayAssignment', assignment, parseGatewayAssignment],
  [
    'parseGatewayListener',
    formatGatewayListener([{ sni: SNI, cluster: SNI }]),
    parseGatewayListener,
  ],
  ['parseHostRoutes', formatHostRoutes({ name: '80', hosts: [['a', NAME]] }), parseHostRoutes],
  ['parseCallers', formatCallers(CALLERS), parseCallers],
  ['parseBundles', formatBundles([BUNDLE]), parseBundles],
];

function holds(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    parse(bytes);
  } catch (error) {
    if (!isMeshError(error, 'PROTOCOL_VIOLATION')) throw error;
  }
}

describe('xDS parsers', () => {
  for (const [name, honest, parse] of parsers) {
    it(`${name} reads or refuses any bytes`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), bytes => holds(parse, bytes)),
        { numRuns: 300 },
      );
    });

    it(`${name} reads or refuses an honest message with one byte changed, or cut short`, () => {
      const position = fc.nat(honest.length - 1);
      fc.assert(
        fc.property(position, fc.nat(255), (at, value) => {
          const changed = Uint8Array.from(honest);
          changed[at] = value;
          holds(parse, changed);
          holds(parse, honest.subarray(0, at));
        }),
        { numRuns: 500 },
      );
    });
  }
});

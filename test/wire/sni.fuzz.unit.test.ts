import { expect } from 'chai';
import fc from 'fast-check';
import type { ClusterName, Namespace, ServiceName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import { formatProbeSni, formatSni, parseProbeSni, parseSni } from '../../src/wire/sni.ts';

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
const sni = fc.record(
  {
    cluster: label.map(text => text as ClusterName),
    namespace: label.map(text => text as Namespace),
    service: label.map(text => text as ServiceName),
    port: fc.integer({ min: 1, max: 65_535 }),
    endpoint: fc.stringMatching(/^[0-9a-f]{16}$/).map(text => text as EndpointHash),
  },
  { requiredKeys: ['cluster', 'namespace', 'service', 'port'] },
);

describe('mesh server names, whatever is in them,', () => {
  it('read back to what was written', () => {
    fc.assert(
      fc.property(sni, value => {
        expect(parseSni(formatSni(value))).to.deep.equal(value);
      }),
      { numRuns: 500 },
    );
  });

  it('are the only names that are read, but for case and one trailing dot', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), prefix => {
        for (const text of [prefix, `${prefix}.v1.isthmus.internal`]) {
          const canonical = text.toLowerCase().replace(/\.$/, '');
          const service = parseSni(text);
          const probed = parseProbeSni(text);
          if (service !== undefined) expect(formatSni(service)).to.equal(canonical);
          if (probed !== undefined) expect(formatProbeSni(probed)).to.equal(canonical);
          expect(service !== undefined && probed !== undefined).to.equal(false);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

import { expect } from 'chai';
import { pino } from 'pino';
import { Refusals } from '../../../src/global-registry/admission/refusals.ts';
import { createRegistryMetrics } from '../../../src/global-registry/metrics.ts';
import type { AuditJournal } from '../../../src/global-registry/operators/audit.ts';
import type { Commit, RegistryStore } from '../../../src/global-registry/store/store.ts';
import { type ErrorCode, MeshError } from '../../../src/mesh/errors.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import { parseTrustDomain } from '../../../src/mesh/spiffe-id.ts';

describe('a refused publication', () => {
  function noted(code: ErrorCode): { lines: string[]; commits: Commit[] } {
    const lines: string[] = [];
    const commits: Commit[] = [];
    const store = { commit: async (commit: Commit) => commits.push(commit) };
    const refusals = new Refusals({
      store: store as unknown as RegistryStore,
      journal: { into: (commit: Commit) => commit } as unknown as AuditJournal,
      clusterSet: parseTrustDomain('clusterset.example'),
      metrics: createRegistryMetrics(),
      log: pino({}, { write: line => void lines.push(line) }),
      now: () => 0,
    });
    const error = new MeshError(code, 'not yours');
    refusals.note(error, parseClusterName('east'), 'i'.repeat(5_000), '10.0.0.1:5');
    return { lines, commits };
  }

  it('is a line that says who and from where, however long the name that the caller gave itself', () => {
    const { lines, commits } = noted('PERMISSION_DENIED');
    expect(lines).to.have.length(1);
    const [line = ''] = lines;
    expect(line.length).to.be.below(600);
    expect(JSON.parse(line)).to.deep.include({
      msg: 'publish refused',
      cluster: 'east',
      address: '10.0.0.1:5',
      instance: 'i'.repeat(80),
    });
    expect(commits).to.have.length(1);
  });

  it('by the weather is none', () => {
    expect(noted('STORE_UNAVAILABLE')).to.deep.equal({ lines: [], commits: [] });
  });
});

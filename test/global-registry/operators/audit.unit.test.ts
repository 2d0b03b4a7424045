import { expect } from 'chai';
import { auditKey } from '../../../src/global-registry/keys.ts';
import { AUDIT_CHANGES_MAX, AUDIT_ENTRIES_MAX } from '../../../src/global-registry/limits.ts';
import { AuditJournal, followJournal } from '../../../src/global-registry/operators/audit.ts';
import { RegistryTable } from '../../../src/global-registry/table/table.ts';
import type { TableMirror } from '../../../src/global-registry/table/table-mirror.ts';
import { createLogger } from '../../../src/runtime/log.ts';
import { AuditEntry } from '../../../src/wire/generated/isthmus/registry/v1/registry.ts';

const log = createLogger('test');
log.level = 'silent';
const NOTHING = { puts: [], deletes: [] };
const change = { action: 'cluster-joined', subject: 'east', before: '', after: 'x' } as const;

function journalWith(entries: number): { journal: AuditJournal; mirror: TableMirror } {
  const table = new RegistryTable(error => {
    throw error;
  });
  table.apply(
    Array.from({ length: entries }, (_, i) => ({
      kind: 'put',
      entry: {
        key: auditKey(i, 'x'),
        value: AuditEntry.encode({ atMs: BigInt(i), who: '', registry: '', changes: [] }).finish(),
        revision: BigInt(entries - i),
        created: 1n,
        leaseId: undefined,
      },
    })),
  );
  const mirror = { table, stopped: false } as unknown as TableMirror;
  return { journal: new AuditJournal({ mirror, registry: 'r', log, now: () => 9_000 }), mirror };
}

describe('the journal', () => {
  it('adds an entry to the commit it is about, under a key of its own', () => {
    const { journal } = journalWith(0);
    const commit = journal.into(NOTHING, 'ada', [change]);
    expect(commit.puts).to.have.length(1);
    expect(commit.expect).to.deep.equal([{ key: commit.puts[0]?.key, revision: 0n }]);
    expect(AuditEntry.decode(commit.puts[0]?.value ?? Buffer.alloc(0))).to.deep.equal({
      atMs: 9_000n,
      who: 'ada',
      registry: 'r',
      changes: [change],
    });
    expect(journal.into(NOTHING, 'ada', [])).to.equal(NOTHING);
  });

  it('lets its oldest entries go when it is full, and none before', () => {
    expect(
      journalWith(AUDIT_ENTRIES_MAX - 1).journal.into(NOTHING, 'a', [change]).deletes,
    ).to.deep.equal([]);
    const { deletes } = journalWith(AUDIT_ENTRIES_MAX + 1).journal.into(NOTHING, 'a', [change]);
    expect(deletes).to.deep.equal([auditKey(0, 'x'), auditKey(1, 'x')]);
  });

  it('lists a bounded number of changes in one entry, and says how many more there were', () => {
    const { journal } = journalWith(0);
    const many = Array.from({ length: AUDIT_CHANGES_MAX + 7 }, () => change);
    const [put] = journal.into(NOTHING, 'ada', many).puts;
    const { changes } = AuditEntry.decode(put?.value ?? Buffer.alloc(0));
    expect(changes).to.have.length(AUDIT_CHANGES_MAX + 1);
    expect(changes.at(-1)?.subject).to.equal('and 7 changes more, see the log');
  });

  it('is read in the order in which the store took it, whatever the clocks said', async () => {
    const seen: number[] = [];
    const { mirror } = journalWith(3);
    for await (const { atMs } of followJournal(mirror, false, new AbortController().signal)) {
      seen.push(Number(atMs));
    }
    expect(seen).to.deep.equal([2, 1, 0]);
  });
});

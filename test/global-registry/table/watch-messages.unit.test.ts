import { expect } from 'chai';
import { RegistryTable } from '../../../src/global-registry/table/table.ts';
import type { TableRevision } from '../../../src/global-registry/table/table-mirror.ts';
import { WatchMessages } from '../../../src/global-registry/table/watch-messages.ts';
import type { ClusterName } from '../../../src/mesh/names.ts';
import type { ExportTo } from '../../../src/mesh/service.ts';
import { WatchResponse } from '../../../src/wire/generated/isthmus/registry/v1/registry.ts';
import { east, entryOf, sliceOf, west } from '../records.ts';

const north = 'north' as ClusterName;
const from = { storeId: 'first', revision: 1n };

describe('messages of a watch', () => {
  let table: RegistryTable;
  let messages: WatchMessages;

  beforeEach(() => {
    table = new RegistryTable(error => {
      throw error;
    });
    messages = new WatchMessages();
  });

  const wrote = (revision: bigint, bytes: number, exportTo: ExportTo = 'all'): TableRevision => {
    const entry = entryOf('east', sliceOf('east', { exportTo }), revision);
    return { revision, changes: table.apply([{ kind: 'put', entry }]), bytes };
  };
  const sent = (reader: ClusterName, missed: readonly TableRevision[]): Uint8Array[] => [
    ...messages.changes(reader, from, missed),
  ];
  const decoded = (reader: ClusterName, missed: readonly TableRevision[]): unknown[] =>
    sent(reader, missed).map(bytes => {
      const { afterRevision, revision, body } = WatchResponse.decode(bytes);
      return [afterRevision, revision, body?.$case === 'changes' && body.value.changes.length];
    });

  it('are the same bytes for all where everyone sees the same', () => {
    const missed = [wrote(2n, 100), wrote(3n, 100)];
    const [first] = sent(west, missed);
    expect(sent(north, missed)[0]).to.equal(first);
    expect(decoded(west, missed)).to.deep.equal([[1n, 3n, 2]]);
  });

  it('are put together for each where some may not see all', () => {
    const missed = [wrote(2n, 100), wrote(3n, 100, [west])];
    const [other] = sent(west, missed);
    expect(sent(north, missed)[0]).not.to.equal(other);
    const [told, untold] = [west, north].map(reader => {
      const [bytes = new Uint8Array()] = sent(reader, missed);
      const { body } = WatchResponse.decode(bytes);
      return body?.$case === 'changes' ? body.value.changes.map(({ kind }) => kind?.$case) : [];
    });
    expect(told).to.deep.equal(['put', 'put']);
    expect(untold).to.deep.equal(['put', 'deleted']);
  });

  it('are told apart by where their reader stands', () => {
    const missed = [wrote(2n, 100), wrote(3n, 100)];
    expect(decoded(west, missed)).to.deep.equal([[1n, 3n, 2]]);
    const [later] = messages.changes(north, { ...from, revision: 2n }, missed.slice(1));
    expect(WatchResponse.decode(later ?? new Uint8Array()).afterRevision).to.equal(2n);
  });

  it('are several, each after the one before it, when one would be too big', () => {
    const missed = [wrote(2n, 600_000), wrote(3n, 600_000), wrote(4n, 100)];
    expect(decoded(east, missed)).to.deep.equal([
      [1n, 2n, 1],
      [2n, 4n, 2],
    ]);
  });

  it('answer a reader that has missed nothing', () => {
    expect(decoded(west, [])).to.deep.equal([[1n, 1n, 0]]);
  });
});

/** From the difference between what a cluster is and what the registry has, in a safe order. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  desiredRecords,
  type Publication,
  planPublications,
} from '../../../src/cluster-agent/registry/publication.ts';
import {
  type ClusterRecords,
  recordKey,
} from '../../../src/cluster-agent/registry/registry-view.ts';
import type { ExportedService } from '../../../src/mesh/service.ts';
import { idOf, type RegistryRecord } from '../../../src/wire/registry-records.ts';
import { config, endpoint, service } from '../../mesh/mesh-nouns.ts';
import { envelopeOf } from '../../support/cluster-set.ts';
import { testAuthority } from '../../trust-federation/pki.ts';

const EAST = config('east');
const AUTHORITY = testAuthority('east.example');
const OFFER = {
  current: envelopeOf('east', AUTHORITY.bundle, [AUTHORITY]),
  predecessors: [],
};
const ALIVE: RegistryRecord = { kind: 'alive', instance: EAST.instance };

function table(records: readonly RegistryRecord[]): ClusterRecords {
  return new Map(
    records.map(record => [recordKey(idOf(record)), { cluster: EAST.name, record, revision: 1n }]),
  );
}

function words(publications: readonly Publication[]): string[] {
  return publications.map(({ puts, deletes }) =>
    [
      ...puts.map(record => `+${recordKey(idOf(record))}`),
      ...deletes.map(id => `-${recordKey(id)}`),
    ].join(' '),
  );
}

function plan(
  exports: readonly ExportedService[],
  published: ClusterRecords,
  aliveHeld = true,
  recordsMax = 50,
  own = EAST,
): string[] {
  const desired = desiredRecords(own, OFFER, exports, [], published);
  return words(planPublications(desired, published, aliveHeld, recordsMax));
}

describe('planPublications', () => {
  const cart = service('cart', [endpoint('east', 'a')]);
  const current = table([...desiredRecords(EAST, OFFER, [cart], [], new Map()), ALIVE]);

  it('writes everything to an empty registry, config first and canary last', () => {
    expect(plan([cart], new Map(), false)).to.deep.equal([
      '+config +bundle +exports/shop/cart/0 +trust-acks',
      '+alive +synced',
    ]);
  });

  it('writes nothing when nothing differs', () => {
    expect(plan([cart], current)).to.deep.equal([]);
  });

  it('writes one slice when one endpoint changes', () => {
    const more = service('cart', [endpoint('east', 'a'), endpoint('east', 'b')]);
    expect(plan([more], current)).to.deep.equal(['+exports/shop/cart/0']);
  });

  it('takes back what is no longer exported', () => {
    expect(plan([], current)).to.deep.equal(['-exports/shop/cart/0']);
  });

  it('binds a new lease', () => {
    expect(plan([cart], current, false)).to.deep.equal(['+alive']);
  });

  it('frames a new start: config before, canary and lease after', () => {
    const restarted = { ...EAST, instance: 'i-2' };
    const till = service('till', []);
    expect(plan([till], current, false, 50, restarted)).to.deep.equal([
      '+config +exports/shop/till/0',
      '-exports/shop/cart/0',
      '+alive +synced',
    ]);
  });

  it('cuts what does not fit one publication', () => {
    const names = ['a', 'b', 'c'].map(name => service(name, []));
    expect(plan(names, new Map(), false, 2)).to.deep.equal([
      '+config +bundle',
      '+exports/shop/a/0 +exports/shop/b/0',
      '+exports/shop/c/0 +trust-acks',
      '+alive +synced',
    ]);
  });
});

/** What an agent can say was taken back: what it has seen there before, for a while. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { WITHDRAWN_ENDPOINTS_MAX } from '../../../src/cluster-agent/limits.ts';
import { Withdrawals } from '../../../src/cluster-agent/registry/withdrawals.ts';
import { Table } from '../../../src/mesh/collection.ts';
import {
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
  type ServiceKey,
  serviceKey,
} from '../../../src/mesh/names.ts';
import { endpointHash, type LocalService } from '../../../src/mesh/service.ts';
import { endpoint } from '../../wire/xds/nouns.ts';

const WEST = parseClusterName('west');
const namespace = parseNamespace('shop');
const name = parseServiceName('cart');
const KEY = serviceKey(namespace, name);
const hashOf = (workload: string) => endpointHash(WEST, parseWorkloadName(workload));

function cart(...workloads: string[]): LocalService {
  const { spiffeId, locality, addresses } = endpoint('west', 0, ['a']);
  return {
    namespace,
    name,
    ports: [],
    exported: true,
    exportTo: 'all',
    endpoints: workloads.map(workload => ({
      workload: parseWorkloadName(workload),
      cluster: WEST,
      spiffeId,
      locality,
      address: addresses[0]!,
    })),
  };
}

describe('withdrawals', () => {
  function started(...workloads: string[]) {
    const services = new Table<ServiceKey, LocalService>('services');
    services.put(KEY, cart(...workloads));
    return { services, withdrawals: new Withdrawals(services, () => 0) };
  }

  it('are the endpoints that were there and are no more', () => {
    const { services, withdrawals } = started('a', 'b', 'c');
    services.put(KEY, cart('b'));
    expect(withdrawals.current().get(KEY)).to.deep.equal({
      gone: undefined,
      endpoints: [hashOf('a'), hashOf('c')].sort(),
    });
  });

  it('know nothing of what was never there', () => {
    const { withdrawals } = started();
    expect(withdrawals.current().size).to.equal(0);
  });

  it('are over when the endpoint is back', () => {
    const { services, withdrawals } = started('a', 'b');
    services.put(KEY, cart('b'));
    services.put(KEY, cart('a', 'b'));
    expect(withdrawals.current().size).to.equal(0);
  });

  it('keep the last of a service that is gone', () => {
    const { services, withdrawals } = started('a');
    services.delete(KEY);
    const { gone, endpoints } = withdrawals.current().get(KEY) ?? {};
    expect(gone?.name).to.equal(name);
    expect(endpoints).to.deep.equal([hashOf('a')]);
    services.put(KEY, cart('a'));
    expect(withdrawals.current().size).to.equal(0);
  });

  it('are announced after the change that made them', () => {
    const { services, withdrawals } = started('a', 'b');
    let seen = 0;
    withdrawals.observe(() => {
      seen = withdrawals.current().get(KEY)?.endpoints.length ?? 0;
    });
    services.put(KEY, cart());
    expect(seen).to.equal(2);
  });

  it('are bounded for each service', () => {
    const many = Array.from({ length: WITHDRAWN_ENDPOINTS_MAX + 5 }, (_, i) => `w-${i}`);
    const { services, withdrawals } = started(...many);
    services.put(KEY, cart());
    expect(withdrawals.current().get(KEY)?.endpoints).to.have.length(WITHDRAWN_ENDPOINTS_MAX);
  });
});

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Proxies, type ProxyIdentity } from '../../../src/cluster-agent/xds/proxies.ts';
import { parseWorkloadName } from '../../../src/mesh/names.ts';
import { requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';

function proxy(name: string, account = 'web'): ProxyIdentity {
  return {
    name: parseWorkloadName(name),
    kind: 'sidecar',
    spiffeId: requireSpiffeId(`spiffe://east.example/ns/shop/sa/${account}`),
  };
}

describe('Proxies', () => {
  it('remembers what a proxy acknowledged and refused, also when it is gone', () => {
    let nowMs = 1;
    const proxies = new Proxies(10, () => nowMs);
    const gone = proxies.connected(proxy('a'));
    nowMs = 2;
    proxies.record(proxy('a'), { kind: 'acked', type: 'secret', version: 'v', refusing: false });
    proxies.record(proxy('a'), { kind: 'nacked', type: 'cluster', message: 'no' });
    nowMs = 3;
    gone();
    expect(proxies.list()).to.deep.equal([
      {
        ...proxy('a'),
        connected: false,
        sinceMs: 3,
        acked: { secret: 'v' },
        lastAckMs: 2,
        nack: { type: 'cluster', message: 'no' },
      },
    ]);
  });

  it('forgets a refusal once nothing of the type is refused any more', () => {
    const proxies = new Proxies(10, () => 1);
    proxies.connected(proxy('a'));
    proxies.record(proxy('a'), { kind: 'nacked', type: 'cluster', message: 'no' });
    proxies.record(proxy('a'), { kind: 'acked', type: 'secret', version: 'v', refusing: false });
    proxies.record(proxy('a'), { kind: 'acked', type: 'cluster', version: 'v', refusing: true });
    expect(proxies.list()[0]?.nack?.message).to.equal('no');
    proxies.record(proxy('a'), { kind: 'acked', type: 'cluster', version: 'w', refusing: false });
    expect(proxies.list()[0]?.nack).to.equal(undefined);
  });

  it('counts a proxy as connected while one of its streams is open', () => {
    const proxies = new Proxies(10, () => 1);
    const first = proxies.connected(proxy('a'));
    const second = proxies.connected(proxy('a'));
    first();
    expect(proxies.list()[0]?.connected).to.equal(true);
    second();
    expect(proxies.list()[0]?.connected).to.equal(false);
  });

  it('keeps proxies of one name and two identities apart', () => {
    const proxies = new Proxies(10, () => 1);
    proxies.connected(proxy('a', 'web'));
    proxies.connected(proxy('a', 'cart'));
    expect(proxies.list()).to.have.length(2);
  });

  it('forgets who has been gone longest when it is full', () => {
    const proxies = new Proxies(2, () => 1);
    proxies.connected(proxy('stays'));
    proxies.connected(proxy('gone'))();
    proxies.connected(proxy('new'));
    expect(proxies.list().map(({ name }) => name)).to.deep.equal(['stays', 'new']);
  });
});

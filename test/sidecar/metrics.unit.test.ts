import { expect } from 'chai';
import { boundedLabels, type RequestLabels } from '../../src/sidecar/metrics.ts';

function labels(workload: string, code = '200'): RequestLabels {
  return {
    reporter: 'source',
    source_workload: 'web',
    source_cluster: 'east',
    source_principal: 'spiffe://east.example/ns/shop/sa/web',
    destination_service: 'payments.shop.svc.clusterset.local',
    destination_workload: workload,
    destination_cluster: 'west',
    response_code: code,
  };
}

describe('the label sets of request metrics', () => {
  it('are kept up to their bound, and folded into one per status class past it', () => {
    const bounded = boundedLabels(2);
    expect(bounded(labels('a'))).to.deep.equal(labels('a'));
    expect(bounded(labels('b'))).to.deep.equal(labels('b'));
    expect(bounded(labels('c', '503'))).to.include({
      reporter: 'source',
      destination_workload: 'other',
      response_code: '5xx',
    });
    expect(bounded(labels('a'))).to.deep.equal(labels('a'));
  });
});

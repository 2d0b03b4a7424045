import { expect } from 'chai';
import { parseNamespace, parseServiceName, serviceKey } from '../../src/mesh/names.ts';
import { InFlight } from '../../src/sidecar/inbound/in-flight.ts';

const CART = serviceKey(parseNamespace('shop'), parseServiceName('cart'));

describe('the requests in flight', () => {
  it('are their average since they were last asked for', () => {
    const inFlight = new InFlight([CART], 0);
    const meter = inFlight.of(CART);
    meter.enter(0);
    meter.enter(500);
    meter.leave(1_000);
    expect(inFlight.takeAverages(2_000)).to.deep.equal([{ service: CART, inFlight: 1.25 }]);
    expect(inFlight.takeAverages(3_000)).to.deep.equal([{ service: CART, inFlight: 1 }]);
    meter.leave(3_500);
    expect(inFlight.takeAverages(4_000)).to.deep.equal([{ service: CART, inFlight: 0.5 }]);
    expect(inFlight.takeAverages(5_000)).to.deep.equal([{ service: CART, inFlight: 0 }]);
  });

  it('are those of the moment when no time has passed', () => {
    const inFlight = new InFlight([CART], 0);
    inFlight.of(CART).enter(0);
    expect(inFlight.takeAverages(0)).to.deep.equal([{ service: CART, inFlight: 1 }]);
  });

  it('are not confused by a clock that goes back', () => {
    const inFlight = new InFlight([CART], 1_000);
    const meter = inFlight.of(CART);
    meter.enter(1_000);
    meter.leave(500);
    meter.enter(600);
    expect(inFlight.takeAverages(700)[0]?.inFlight).to.equal(1);
  });
});

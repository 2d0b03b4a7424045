import { expect } from 'chai';
import {
  EJECTION_MAX_MS,
  type EndpointHealth,
  HEALTHY,
  isEjected,
  nextHealth,
} from '../../src/mesh/outlier-detection.ts';

/** Fails again the moment it is back in service. */
function failures(count: number, jitter = 0): EndpointHealth {
  let health = HEALTHY;
  for (let i = 0; i < count; i++) {
    health = nextHealth(health, 'connect-failed', health.ejectedUntilMs, jitter);
  }
  return health;
}

describe('an endpoint', () => {
  it('is in service until a connect fails, and out of it for a second after', () => {
    expect(isEjected(HEALTHY, 5_000)).to.equal(false);
    const ejected = nextHealth(HEALTHY, 'connect-failed', 5_000, 0);
    expect(isEjected(ejected, 5_000)).to.equal(true);
    expect(isEjected(ejected, 5_999)).to.equal(true);
    expect(isEjected(ejected, 6_000)).to.equal(false);
  });

  it('stays out twice as long with each failure in a row, up to ten seconds', () => {
    const times = [1, 2, 3, 4, 5, 6, 100].map(
      count => failures(count).ejectedUntilMs - failures(count - 1).ejectedUntilMs,
    );
    expect(times).to.deep.equal([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, EJECTION_MAX_MS]);
  });

  it('is forgiven everything by one success', () => {
    const after = nextHealth(failures(6), 'connected', 0, 0);
    expect(after).to.equal(HEALTHY);
    expect(nextHealth(after, 'connect-failed', 0, 0).ejectedUntilMs).to.equal(1_000);
  });

  it('is not judged twice for calls that failed together', () => {
    const first = nextHealth(HEALTHY, 'connect-failed', 0, 0);
    expect(nextHealth(first, 'connect-failed', 10, 0)).to.equal(first);
  });

  it('comes back up to a fifth earlier, by jitter', () => {
    expect(failures(1, 1).ejectedUntilMs).to.equal(800);
    expect(failures(1, 0.5).ejectedUntilMs).to.equal(900);
  });
});

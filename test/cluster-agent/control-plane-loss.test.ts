/** A proxy's start without its agent: what it does, what it refuses to do, and what it says. */

import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { meshErrorOf } from '../runtime/rejection.ts';
import { useTempDir } from '../runtime/temp-dir.ts';
import { FakeRegistry } from './fake-registry.ts';
import {
  eventually,
  prepareProxy,
  type RunningAgent,
  type RunningLink,
  startAgent,
  startLink,
} from './harness.ts';

const HOUR_MS = 3_600_000;

describe('a proxy whose agent is down', () => {
  const registry = new FakeRegistry();
  let agent: RunningAgent;
  const links: RunningLink[] = [];

  afterEach(async () => {
    await Promise.all(links.splice(0).map(link => link.stop()));
    await agent.stop();
  });
  const dir = useTempDir();

  beforeEach(async () => {
    agent = await startAgent({ dir: dir(), registry });
  });

  it('waits without identity, serving nothing, until the agent is there', async () => {
    const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
    await agent.stop();
    let isLinked = false;
    const starting = startLink(options).then(link => {
      isLinked = true;
      links.push(link);
    });
    // Its token has not been redeemed: there is nobody to take it.
    await meshErrorOf(startLink({ ...options, signal: AbortSignal.abort() }), 'PEER_UNAVAILABLE');
    expect(isLinked).to.equal(false);
    agent = await startAgent({ dir: dir(), registry, addresses: agent.addresses });
    await starting;
    await eventually('state', () => links[0]?.link.status().source === 'agent');
  });

  it('does not start with a certificate that has expired, and says what to do', async () => {
    const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
    const first = await startLink(options);
    await first.stop();
    await agent.stop();
    const later = { ...options, now: () => Date.now() + 2 * HOUR_MS };
    const error = await meshErrorOf(startLink(later), 'TOKEN_UNKNOWN');
    expect(error.message).to.contain('expired').and.to.contain('join token');
    // The same start an hour earlier is a legal one.
    links.push(await startLink(options));
    agent = await startAgent({ dir: dir(), registry });
  });
});

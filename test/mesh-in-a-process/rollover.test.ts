/** A root's rollover over three clusters, with calls going on. */

import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdmin } from '../../src/cli/admin-client.ts';
import { agentOf, operatorChannel } from '../../src/cli/operator.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { ROLLOVER_STEPS } from '../../src/mesh/rollover.ts';
import type { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { AgentOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverProgress } from '../../src/wire/generated/isthmus/operator/v1/rollover.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const { methods } = AgentOperatorDefinition;
const PAYMENTS = 'http://payments.shop.svc.clusterset.local/';

describe("a rollover of a cluster's root", function () {
  this.timeout(120_000);
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west', 'eu'] });
    await eventually(() => callPayments());
  });
  after(() => mesh.close());

  async function callPayments(): Promise<void> {
    const { status, body } = await mesh.call('east/web', PAYMENTS);
    expect(status, body).to.equal(200);
    expect(JSON.parse(body)).to.include({ servedBy: 'payments-west-0' });
  }

  async function ask<T>(
    call: (channel: RpcChannel, options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const channel = await operatorChannel(agentOf(mesh.fleet, 'west'), AgentOperatorDefinition);
    try {
      return await call(channel, { signal: new AbortController().signal });
    } finally {
      channel.close();
    }
  }
  const start = () =>
    ask((channel, call) => channel.unary(methods.startRollover, { auto: false }, call));
  const advance = (forceReason = '') =>
    ask((channel, call) => channel.unary(methods.advanceRollover, { forceReason }, call));
  const status = async (): Promise<RolloverProgress> => {
    const answer = await ask((channel, call) => channel.unary(methods.getRollover, {}, call));
    if (answer.rollover === undefined) throw new Error('no rollover');
    return answer.rollover;
  };
  const proven = (): Promise<RolloverProgress> =>
    eventually(async () => {
      const progress = await status();
      expect(progress.lacking, JSON.stringify(progress.lacking)).to.deep.equal([]);
      return progress;
    });

  /** Calls without a pause until stopped; resolves with what went wrong. */
  function traffic(): () => Promise<{ sent: number; failures: string[] }> {
    const failures: string[] = [];
    let sent = 0;
    let going = true;
    const loop = (async () => {
      while (going) {
        sent += 1;
        await callPayments().catch((error: unknown) => failures.push(String(error)));
        await new Promise(resolve => setTimeout(resolve, 5));
      }
    })();
    return async () => {
      going = false;
      await loop;
      return { sent, failures };
    };
  }

  async function issuersServed(): Promise<string[]> {
    const { bundles } = await debugOf<{ bundles: { roots: string[] } }>('bundles');
    return bundles.roots;
  }
  async function debugOf<T>(name: string): Promise<T> {
    const sidecar = mesh.fleet.clusters
      .flatMap(({ sidecars }) => sidecars)
      .find(each => each.name === 'east/web');
    const answer = await askAdmin<{ trustDomain: string; roots: string[] }[]>(
      sidecar!.admin,
      `/debug/${name}`,
    );
    if (answer.kind !== 'answered') throw new Error(answer.reason);
    const west = answer.body.find(({ trustDomain }) => trustDomain === 'west.example');
    return { bundles: west } as T;
  }

  it('goes through every step, agents restarting at each, and no call fails', async () => {
    const [old] = await issuersServed();
    const stop = traffic();
    await start();
    for (const step of ROLLOVER_STEPS.slice(1)) {
      await mesh.stop('west/agent');
      await mesh.start('west/agent');
      const { nextStep } = await proven();
      expect(nextStep).to.equal(step);
      const { rollover } = await advance();
      expect(rollover?.step).to.equal(step);
    }
    const { progress, from } = await proven();
    expect(from).to.equal(old);
    expect(progress.map(({ cluster }) => cluster).sort()).to.deep.equal(['east', 'eu', 'west']);
    for (const { cluster, have, of } of progress) expect(have, cluster).to.equal(of).and.above(0);
    const { sent, failures } = await stop();
    expect(failures).to.deep.equal([]);
    expect(sent).to.be.above(100);
    expect(await issuersServed())
      .to.have.length(1)
      .and.not.include(old);
  });

  it('waits for a cluster that is cut off, naming it, goes on by force, and heals without a restart', async () => {
    await mesh.stop('eu/agent');
    await start();
    const waiting = await eventually(async () => {
      const progress = await status();
      expect(progress.lacking.map(({ cluster }) => cluster)).to.deep.equal(['eu']);
      return progress;
    });
    expect(waiting.lacking[0]?.lacks).to.match(/has bundle \d+, not \d+/);
    const refusal: unknown = await advance().catch((error: unknown) => error);
    expect(isMeshError(refusal, 'REQUEST_INVALID'), String(refusal)).to.equal(true);
    expect(String(refusal)).to.include('eu');
    const { rollover } = await advance('eu is being rebuilt');
    expect(rollover?.history.at(-1)).to.include({ step: 'trusted', reason: 'eu is being rebuilt' });
    await mesh.start('eu/agent');
    for (const step of ROLLOVER_STEPS.slice(2)) {
      await proven();
      expect((await advance()).rollover?.step).to.equal(step);
    }
    await proven();
    await callPayments();
  });

  it('can be given up while the new root signs, and everyone goes back', async () => {
    const [before] = await issuersServed();
    const stop = traffic();
    await start();
    for (let step = 0; step < 2; step += 1) {
      await proven();
      await advance();
    }
    await ask((channel, call) => channel.unary(methods.abortRollover, { reason: 'test' }, call));
    for (let step = 0; step < 2; step += 1) {
      await proven();
      await advance();
    }
    expect((await proven()).step).to.equal('revoked');
    expect((await stop()).failures).to.deep.equal([]);
    expect(await issuersServed()).to.deep.equal([before]);
  });

  it('has a smaller sister: a new intermediate, with certificates for everyone', async () => {
    const issuerOf = async (): Promise<string | undefined> => {
      const payments = mesh.fleet.clusters
        .flatMap(({ sidecars }) => sidecars)
        .find(each => each.name === 'west/payments');
      const answer = await askAdmin<{ issuer?: { sha256: string } }>(
        payments!.admin,
        '/debug/identity',
      );
      return answer.kind === 'answered' ? answer.body.issuer?.sha256 : undefined;
    };
    const before = await issuerOf();
    const stop = traffic();
    const { proxies } = await ask((channel, call) =>
      channel.unary(methods.rotateIntermediate, {}, call),
    );
    expect(proxies).to.be.above(0);
    await eventually(async () => expect(await issuerOf()).to.not.equal(before));
    expect((await stop()).failures).to.deep.equal([]);
  });
});

/** A registry's client whose watch comes through something that loses, repeats and reorders messages. */

import { expect } from 'chai';
import { type Distortion, FAITHFUL, startDistorter } from '../../soak/registry/distorter.ts';
import { RegistryClient } from '../../src/global-registry/client.ts';
import { registryId } from '../../src/mesh/spiffe-id.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import type { WatchPosition } from '../../src/wire/registry-records.ts';
import { testSvid } from '../trust-federation/pki.ts';
import { CLUSTER_SET, configOf, sliceOf } from './records.ts';
import { codeOf, eventually, RegistryBed } from './registry-bed.ts';

const log = createLogger('test');
log.level = 'silent';

describe('a watch of the registry', function () {
  this.timeout(30_000);
  let bed: RegistryBed;
  let counter = 0;

  before(async () => {
    bed = await RegistryBed.create();
  });
  afterEach(() => bed.reset());
  after(() => bed.close());

  /** How many endpoints each update showed, and with what the first watch and the one after it ended. */
  async function watchThrough(
    distortion: Distortion,
    isDone: (seen: readonly number[]) => boolean,
  ): Promise<{ readonly seen: readonly number[]; readonly ended: string; resumed: number[] }> {
    const registry = await bed.start(String(counter++));
    const svid = testSvid(bed.authority, 'cluster/west', Date.now());
    const server = testSvid(bed.authority, 'registry', Date.now());
    const distorter = await startDistorter({
      target: registry.address,
      random: () => 0,
      tls: { server, client: svid },
    });
    const client = new RegistryClient({
      addresses: [distorter.address],
      tls: () => meshRpcTls(svid, bed.authority.bundle, exactly(registryId(CLUSTER_SET)), Date.now),
      log,
    });
    const east = bed.clientOf('east', registry);
    await east.publish({ puts: [configOf('east')], deletes: [] });
    const seen: number[] = [];
    let at: WatchPosition | undefined;
    const watch = async (to: number[], done: () => boolean): Promise<void> => {
      for await (const update of client.watch(at, AbortSignal.timeout(10_000))) {
        at = update.position;
        for (const change of update.kind === 'changes' ? update.changes : []) {
          if (change.kind !== 'put' || change.stored.record.kind !== 'export-slice') continue;
          to.push(change.stored.record.slice.endpoints.length);
        }
        if (done()) return;
      }
    };
    try {
      const ended = codeOf(watch(seen, () => isDone(seen)));
      await eventually(async () => at !== undefined);
      distorter.distortion = distortion;
      await east.publish({ puts: [sliceOf('east', { endpoints: 1 })], deletes: [] });
      if (distortion !== FAITHFUL) await eventually(async () => distorter.distorted === 1);
      distorter.distortion = FAITHFUL;
      await east.publish({ puts: [sliceOf('east', { endpoints: 2 })], deletes: [] });
      const code = await ended;
      const resumed: number[] = [];
      if (code !== 'ok') await watch(resumed, () => resumed.at(-1) === 2);
      return { seen, ended: code, resumed };
    } finally {
      client.close();
      await distorter.close();
    }
  }

  it('shows every change once when nothing is in between', async () => {
    const { seen, ended } = await watchThrough(FAITHFUL, ({ length }) => length === 2);
    expect([seen, ended]).to.deep.equal([[1, 2], 'ok']);
  });

  const lies: readonly (readonly [string, Distortion, readonly number[]])[] = [
    ['lost', { drop: 1, repeat: 0, swap: 0 }, []],
    ['repeated', { drop: 0, repeat: 1, swap: 0 }, [1]],
    ['overtaken', { drop: 0, repeat: 0, swap: 1 }, []],
  ];
  for (const [what, distortion, shown] of lies) {
    it(`ends at a message that was ${what}, and is resumed without missing or repeating a change`, async () => {
      const { seen, ended, resumed } = await watchThrough(distortion, () => false);
      expect(ended).to.equal('PROTOCOL_VIOLATION');
      expect(seen).to.deep.equal(shown);
      expect([...new Set([...seen, ...resumed])].at(-1)).to.equal(2);
      expect([...seen, ...resumed].length).to.equal(new Set([...seen, ...resumed]).size);
    });
  }
});

/** The systems as processes: each does the job that it is measured at. What is not installed is left out. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { openBed } from '../../../bench/bed.ts';
import { untilServed } from '../../../bench/load/target.ts';
import { findSystem } from '../../../bench/run.ts';
import { CALLEE_HOST } from '../../../bench/systems/isthmus.ts';
import type { Bed, StartedSystem } from '../../../bench/systems/system.ts';
import { findProgram, nginxStreamModule } from '../../../bench/tools.ts';
import type { SocketAddress } from '../../../src/mesh/address.ts';
import { messageOf } from '../../../src/mesh/errors.ts';

const NEVER = new AbortController().signal;

for (const topology of ['chain', 'hop'] as const) {
  describe(`in the benchmark's ${topology}`, function () {
    this.timeout(120_000);
    const bed = openedBed();

    for (const name of ['isthmus', 'haproxy', 'haproxyH2', 'nginx', 'envoy'] as const) {
      it(`${name} carries requests and plain bytes`, async function () {
        const system = findSystem(name);
        if (system === undefined) this.skip();
        const { entry, tcpEntry } = await system.start(bed(), topology);
        for (const address of [entry, tcpEntry]) {
          if (address === undefined) throw new Error('takes no plain bytes');
          const asked = { hostHeader: CALLEE_HOST, path: '/16m', bodyBytes: 16_777_216 };
          await untilServed({ address, ...asked }, NEVER);
        }
      });
    }
  });
}

describe('in the benchmark, the inbound sidecar', function () {
  this.timeout(120_000);
  const bed = openedBed();

  for (const name of ['haproxy', 'nginx', 'envoy'] as const) {
    it(`of ${name} verifies its callers and resumes nothing`, async function () {
      const system = findSystem(name);
      if (system === undefined) this.skip();
      const running = await system.start(bed(), 'inbound');
      const anonymous = { ca: credentials(running).ca };
      for (const address of [running.entry, running.tcpEntry]) {
        const first = await ask(address, credentials(running));
        expect(first.answer).to.contain('200 OK');
        const again = await ask(address, { ...credentials(running), session: first.session });
        expect(again.answer).to.contain('200 OK');
        expect(again.isResumed).to.equal(false);
        expect((await ask(address, anonymous)).answer).not.to.contain('200 OK');
      }
    });
  }
});

/** For all tests of a suite, which are skipped without the programs that every run needs. */
function openedBed(): () => Bed {
  let bed: Bed | undefined;
  before(async function () {
    const nginx = findProgram('nginx');
    const openssl = findProgram('openssl');
    if (nginx === undefined || openssl === undefined) this.skip();
    if (nginxStreamModule(nginx) === undefined) this.skip();
    bed = await openBed({ nginx, openssl }, NEVER);
  });
  after(() => bed?.close());
  return () => {
    if (bed === undefined) throw new Error('no bed');
    return bed;
  };
}

function credentials({ callerTls }: StartedSystem): Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> {
  if (callerTls === undefined) throw new Error('no credentials for a caller');
  const { roots, chain, key } = callerTls;
  return { ca: readFileSync(roots), cert: readFileSync(chain), key: readFileSync(key) };
}

interface Asked {
  /** The first bytes, or why there were none. */
  readonly answer: string;
  readonly session: Buffer | undefined;
  readonly isResumed: boolean;
}

async function ask(address: SocketAddress | undefined, how: ConnectionOptions): Promise<Asked> {
  const socket: TLSSocket = connect({ ...address, ...how, checkServerIdentity: () => undefined });
  socket.write(`GET /1k HTTP/1.1\r\nhost: ${CALLEE_HOST}\r\n\r\n`);
  const answered = once(socket, 'data').then(([bytes]: unknown[]) => String(bytes), messageOf);
  const closed = once(socket, 'close').then(() => 'closed', messageOf);
  const answer = await Promise.race([answered, closed]);
  const session = socket.getSession();
  const isResumed = socket.isSessionReused();
  socket.destroy();
  return { answer, session, isResumed };
}

/** The open-loop generator against servers that stall, refuse and hang up. */

import { createServer, type RequestListener, type Server } from 'node:http';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { runOpenLoop } from '../../../bench/load/open-loop.ts';
import type { LoadOutcome } from '../../../bench/load/outcome.ts';
import { listen } from '../../../src/runtime/listen.ts';

describe('runOpenLoop', () => {
  let server: Server;
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  async function load(connections: number, answer: RequestListener): Promise<LoadOutcome> {
    server = createServer(answer);
    const address = await listen(server, { host: '127.0.0.1', port: 0 });
    return runOpenLoop({
      target: { address, hostHeader: 'a.example', path: '/', bodyBytes: 2 },
      ratePerSecond: 200,
      connections,
      warmUpMs: 50,
      measureMs: 100,
    });
  }

  it('sends as many as fall due and counts all but the warm-up', async () => {
    let seen = 0;
    const { count, failure, figures } = await load(4, (_, response) => {
      seen += 1;
      response.setHeader('content-length', 2).end('ok');
    });
    expect(failure).to.equal(undefined);
    expect([seen, count]).to.deep.equal([30, 30]);
    expect(figures['p50Us']).to.be.above(0);
  });

  it('charges a stall to every request that fell due in it', async () => {
    const STALL_MS = 400;
    let first = true;
    const { figures } = await load(1, (_, response) => {
      const answer = (): void => void response.setHeader('content-length', 2).end('ok');
      if (first) setTimeout(answer, STALL_MS);
      else answer();
      first = false;
    });
    // The last request fell due 145 ms after the first: each waited at least the rest of the stall.
    expect(figures['p50Us']).to.be.above(200_000);
  });

  it('counts requests that a slow server left unsent as waiting, and stops', async () => {
    const { count, failure, figures } = await load(1, (_, response) => {
      setTimeout(() => response.setHeader('content-length', 2).end('ok'), 100);
    });
    expect(failure).to.equal(undefined);
    // 650 ms at 100 ms an answer is room for seven of thirty; the others waited for 500 ms and more.
    expect(count).to.be.below(8);
    expect(figures['p50Us']).to.be.above(500_000);
  });

  it('fails a run in which one answer is not a success', async () => {
    let requests = 0;
    const { failure } = await load(1, (_, response) => {
      response.statusCode = ++requests === 5 ? 503 : 200;
      response.setHeader('content-length', 2).end('ok');
    });
    expect(failure).to.equal('open loop: 1 status 503');
  });

  it('fails a run in which the server hangs up', async () => {
    const { failure } = await load(1, request => request.socket.end());
    expect(failure).to.contain('closed');
  });
});

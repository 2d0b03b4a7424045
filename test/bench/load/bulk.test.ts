/** Bulk against servers that pour, hang up and refuse. */

import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { runDownload } from '../../../bench/load/bulk.ts';
import type { LoadOutcome } from '../../../bench/load/outcome.ts';
import { closeServer, listen } from '../../../src/runtime/listen.ts';

const BODY = Buffer.alloc(1_000_000);

describe('runDownload', () => {
  let server: Server;
  let asked: string[];
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  async function serve(answers: number): Promise<{ host: string; port: number }> {
    asked = [];
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.host}`);
      if (asked.length > answers) request.socket.end();
      else response.end(BODY);
    });
    return listen(server, { host: '127.0.0.1', port: 0 });
  }

  function download(address: { host: string; port: number }): Promise<LoadOutcome> {
    const target = { address, hostHeader: 'a.example', path: '/big', bodyBytes: BODY.length };
    return runDownload({ target, connections: 2, warmUpMs: 100, measureMs: 400 });
  }

  it('has one body after the other poured into every stream, and counts the bytes', async () => {
    const { count, figures, failure } = await download(await serve(Number.POSITIVE_INFINITY));
    expect(failure).to.equal(undefined);
    expect(new Set(asked)).to.deep.equal(new Set(['GET /big a.example']));
    expect(asked.length).to.be.above(2);
    expect(count).to.be.above(2 * BODY.length);
    expect(figures['mbPerSecond']).to.be.above(0);
  });

  it('fails a run in which a stream ends', async () => {
    const { failure } = await download(await serve(1));
    expect(failure).to.contain('closed');
  });

  it('fails a run in which no stream can be opened', async () => {
    const address = await serve(0);
    await closeServer(server);
    expect((await download(address)).failure).to.equal('bulk: 2 socket');
  });
});

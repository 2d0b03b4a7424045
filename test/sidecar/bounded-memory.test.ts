import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { TestMesh } from '../support/data-plane.ts';
import { bytePair, httpPair, type Path } from './pair.ts';

const MB = 1024 * 1024;
/** There and back again: a gigabyte. */
const TOTAL_MB = 512;
/** Client, application, both sidecars and the gateway are all in this process. */
const GROWTH_BYTES_MAX = 96 * MB;
const CHUNK = Buffer.alloc(256 * 1024, 'x');

/** The most memory outside the heap, over what there was before, while `work` ran. */
async function growthDuring(work: Promise<unknown>): Promise<number> {
  const used = (): number => {
    const { external, heapUsed } = process.memoryUsage();
    return external + heapUsed;
  };
  const before = used();
  let most = before;
  const sample = setInterval(() => (most = Math.max(most, used())), 5);
  await work;
  clearInterval(sample);
  return most - before;
}

async function fill(to: NodeJS.WritableStream, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += CHUNK.length) {
    if (!to.write(CHUNK)) await once(to, 'drain');
  }
  to.end();
}

async function count(from: NodeJS.ReadableStream): Promise<number> {
  let bytes = 0;
  for await (const chunk of from) bytes += (chunk as Buffer).length;
  return bytes;
}

for (const path of ['direct', 'gateway'] as const satisfies readonly Path[]) {
  const total = TOTAL_MB * MB;
  describe(`${TOTAL_MB} MB there and back, ${path}, in bounded memory`, function () {
    this.timeout(120_000);
    let mesh: TestMesh;
    beforeEach(() => {
      mesh = new TestMesh('east', 'west');
    });
    afterEach(() => mesh.stop());

    it('go over TCP', async () => {
      const { web } = await bytePair(mesh, 'tcp', socket => socket.pipe(socket), path);
      const client = connect({ ...web.outboundTcp[0]!, allowHalfOpen: true });
      const both = Promise.all([fill(client, total), count(client)]);
      expect(await growthDuring(both)).to.be.below(GROWTH_BYTES_MAX);
      expect((await both)[1]).to.equal(total);
    });

    it('go over HTTP', async () => {
      const { host, web } = await httpPair(mesh, (q, response) => q.pipe(response), path);
      const request = httpRequest({
        ...web.outboundHttp,
        method: 'POST',
        headers: { host, 'content-length': String(total) },
        agent: false,
      });
      const answer = once(request, 'response') as Promise<[NodeJS.ReadableStream]>;
      const both = Promise.all([
        fill(request, total),
        answer.then(([response]) => count(response)),
      ]);
      expect(await growthDuring(both)).to.be.below(GROWTH_BYTES_MAX);
      expect((await both)[1]).to.equal(total);
    });
  });
}

describe('a client that asks ahead and does not read', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('is served no more than is on its way, and the rest once it reads', async () => {
    const ASKED = 2_000;
    const body = Buffer.alloc(100_000, 'x');
    let served = 0;
    const { host, web } = await httpPair(mesh, (_request, response) => {
      served++;
      response.end(body);
    });
    const client = connect(web.outboundHttp);
    client.pause();
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(ASKED));
    let before = -1;
    const deadline = Date.now() + 10_000;
    while ((served === 0 || before !== served) && Date.now() < deadline) {
      before = served;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    expect(served, 'requests that the application saw').to.be.below(ASKED / 2);
    let bytes = 0;
    const all = new Promise<void>(resolve => {
      client.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes >= ASKED * body.length) resolve();
      });
    });
    client.resume();
    await all;
    client.destroy();
  }).timeout(60_000);
});

describe('a reader that stops', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('holds back its own answer and no other on the same tunnel', async () => {
    const stuck: Socket[] = [];
    let written = 0;
    const { host, web } = await httpPair(mesh, (request, response) => {
      if (request.url !== '/big') {
        response.end('small');
        return;
      }
      const more = (): void => {
        while (response.write(CHUNK)) written += CHUNK.length;
        written += CHUNK.length;
      };
      response.on('drain', more);
      more();
    });
    for (let i = 0; i < 8; i++) {
      const socket = connect(web.outboundHttp);
      socket.on('error', () => undefined).pause();
      socket.write(`GET /big HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      stuck.push(socket);
    }
    let before = -1;
    const deadline = Date.now() + 10_000;
    while (before !== written && Date.now() < deadline) {
      before = written;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    expect(written, 'the applications were held back').to.equal(before);
    const request = httpRequest({ ...web.outboundHttp, headers: { host }, agent: false }).end();
    const [answer] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    expect(await count(answer)).to.equal('small'.length);
    for (const socket of stuck) socket.destroy();
  });
});

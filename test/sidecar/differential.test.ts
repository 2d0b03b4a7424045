import { connect } from 'node:net';
import { expect } from 'chai';
import { eventually, received, TestMesh } from '../support/data-plane.ts';
import { httpPair, type Pair } from './pair.ts';

/** Fixed, so that a failure comes again. */
const SEED = 20_251_121;
const REQUESTS = 600;
const AT_ONCE = 20;

/** What a client may say, well and badly; each is followed by another request on the same connection. */
const TEMPLATES = [
  'GET /%ID HTTP/1.1\r\nHost: %HOST\r\n\r\n',
  'POST /%ID HTTP/1.1\r\nHost: %HOST\r\nContent-Length: 5\r\n\r\nhello',
  'POST /%ID HTTP/1.1\r\nHost: %HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'POST /%ID HTTP/1.1\r\nHost: %HOST\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx-t: 1\r\n\r\n',
  'PUT /%ID?q HTTP/1.1\r\nHost: %HOST\r\nContent-Length: 39\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: %HOST\r\n\r\n',
  'GET http://%HOST/%ID HTTP/1.1\r\nHost: %HOST\r\nAccept: a,\tb\r\nX-A:  b \r\n\r\n',
  'POST /%ID HTTP/1.1\r\nHost: %HOST\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG',
  'DELETE /%ID HTTP/1.1\r\nhost:%HOST\r\nConnection: x-b, keep-alive\r\nX-B: c\r\nContent-Length: 0\r\n\r\n',
];
const PIECES = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  ':',
  ',',
  '0',
  '1',
  'a',
  '\0',
  'chunked',
  ';',
  '\r\n\r\n',
];
const LINES = [
  'Content-Length: 0\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer-Encoding: xchunked\r\n',
  'Content_Length: 3\r\n',
  'Connection: close\r\n',
  'Connection: Content-Length\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: h2c\r\nConnection: upgrade\r\n',
  'X-A: b\r\n c\r\n',
  'Host: other\r\n',
];

describe('whatever a client sends', () => {
  let mesh: TestMesh;
  let pair: Pair;
  let seen: string[];
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    seen = [];
    pair = await httpPair(mesh, (request, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', chunk => (body += String(chunk)));
      request.on('end', () => {
        const record = JSON.stringify([request.method, request.url, body]);
        seen.push(record);
        response.end(record, 'latin1');
      });
    });
  });
  afterEach(() => mesh.stop());

  it('the application sees exactly the requests that were answered, with their content', async () => {
    const random = randomFrom(SEED);
    const answered: string[] = [];
    const queue = Array.from({ length: REQUESTS }, (_, id) =>
      Buffer.from(mutated(random, id, pair.host), 'latin1'),
    );
    const send = async (): Promise<void> => {
      for (let bytes = queue.pop(); bytes !== undefined; bytes = queue.pop()) {
        answered.push(...recordsIn(await converse(bytes)));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, send));
    await eventually('every request seen was answered', () => seen.length === answered.length);
    expect(answered.sort()).to.deep.equal(seen.sort());
    // Neither everything nor nothing may have been refused.
    expect(seen.length).to.be.within(REQUESTS / 4, REQUESTS * 2);
  });

  /** Until the sidecar closes, or until nothing more can come of an incomplete request. */
  async function converse(bytes: Buffer): Promise<string> {
    const socket = connect(pair.web.outboundHttp);
    socket.setTimeout(400, () => socket.destroy());
    const cut = bytes.length % 7 === 0 ? Math.floor(bytes.length / 2) : bytes.length;
    socket.write(bytes.subarray(0, cut));
    if (cut < bytes.length) setImmediate(() => socket.write(bytes.subarray(cut)));
    return (await received(socket)).toString('latin1');
  }
});

function mutated(random: (below: number) => number, id: number, host: string): string {
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  let text = pick(TEMPLATES).replaceAll('%ID', `m${id}`).replaceAll('%HOST', host);
  for (let changes = random(3); changes > 0; changes--) {
    const at = random(text.length);
    const lineAt = text.indexOf('\r\n') + 2;
    switch (random(4)) {
      case 0:
        text = text.slice(0, at) + pick(PIECES) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + random(3));
        break;
      case 2:
        text = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
        break;
      default:
        text = text.slice(0, lineAt) + pick(LINES) + text.slice(lineAt);
    }
  }
  return `${text}GET /last${id} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
}

/** The bodies of the application's answers. */
function recordsIn(answers: string): string[] {
  return [...answers.matchAll(/\r\n\r\n(\["[A-Z]+",(?:"(?:[^"\\]|\\.)*",?){2}\])/g)].map(
    match => match[1] ?? '',
  );
}

/** A linear congruential generator: enough to choose by. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { eventually, received, TestMesh } from '../support/data-plane.ts';
import { bytePair, type Pair } from './pair.ts';
import { readRequest, readResponse, type StrictMessage } from './strict-reader.ts';

/** Fixed, so that a failure comes again. */
const SEED = 20_251_121;
const REQUESTS = 600;
const ANSWERED = 300;
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

/** What an application may answer, well and badly; bytes after its end must not answer the next call. */
const ANSWERS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%ID!',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwhat\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwhat\r\n0\r\nx-t: 1\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
];

describe('whatever a client sends', () => {
  let mesh: TestMesh;
  let pair: Pair;
  let seen: string[];
  let illFramed: string[];
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    seen = [];
    illFramed = [];
    pair = await bytePair(mesh, 'http', socket => {
      serveStrictly(socket, illFramed, ({ startLine, body }) => {
        const record = JSON.stringify([...startLine.split(' ').slice(0, 2), body]);
        seen.push(record);
        return `HTTP/1.1 200 OK\r\nContent-Length: ${record.length}\r\n\r\n${record}`;
      });
    });
  });
  afterEach(() => mesh.stop());

  it('the application sees exactly the requests that were answered, each well framed', async () => {
    const random = randomFrom(SEED);
    const answered: string[] = [];
    const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
    await forEachAtOnce(REQUESTS, async id => {
      const first = mutated(random, pick(TEMPLATES).replaceAll('%ID', `m${id}`)).replaceAll(
        '%HOST',
        pair.host,
      );
      const last = `GET /last${id} HTTP/1.1\r\nHost: ${pair.host}\r\nConnection: close\r\n\r\n`;
      answered.push(...recordsIn(await converse(pair, first + last)));
    });
    await eventually('every request seen was answered', () => seen.length === answered.length);
    expect(illFramed).to.deep.equal([]);
    expect(answered.sort()).to.deep.equal(seen.sort());
    // Neither everything nor nothing may have been refused.
    expect(seen.length).to.be.within(REQUESTS / 4, REQUESTS * 2);
  });
});

describe('whatever an application answers', function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  let pair: Pair;
  let illFramed: string[];
  const random = randomFrom(SEED);
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    illFramed = [];
    const pick = (): string => ANSWERS[random(ANSWERS.length)] ?? '';
    pair = await bytePair(mesh, 'http', socket => {
      serveStrictly(socket, illFramed, ({ startLine }) => {
        const name = startLine.split(' ')[1] ?? '';
        return name.startsWith('/last')
          ? `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`
          : mutated(random, pick().replaceAll('%ID', name.slice(2, 5).padEnd(3, '-')));
      });
      // An answer that ends with the connection, or never.
      socket.setTimeout(100, () => socket.end());
    });
  });
  afterEach(() => mesh.stop());

  it('the client gets at most one well-framed answer a request, and its own', async () => {
    let whole = 0;
    await forEachAtOnce(ANSWERED, async id => {
      const requests = [`/m${id}`, `/last${id}`].map(
        path => `GET ${path} HTTP/1.1\r\nHost: ${pair.host}\r\n\r\n`,
      );
      const answers = answersIn(await converse(pair, requests.join('')));
      expect(answers.length).to.be.at.most(2);
      const [, second] = answers;
      if (second?.startLine === 'HTTP/1.1 200 OK') {
        expect(second.body).to.equal(`/last${id}`);
        whole++;
      }
    });
    expect(whole).to.be.within(ANSWERED / 8, ANSWERED - 1);
  });
});

/** Reads requests as strictly as RFC 9112 allows and answers each; notes what is not framed so. */
function serveStrictly(
  socket: Socket,
  illFramed: string[],
  answer: (request: StrictMessage) => string,
): void {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    for (;;) {
      const reading = readRequest(text);
      if (reading.kind === 'ill-framed') illFramed.push(`${reading.problem} in ${text}`);
      if (reading.kind !== 'message') return;
      text = text.slice(reading.length);
      socket.write(answer(reading.message), 'latin1');
    }
  });
  socket.on('end', () => socket.end());
}

/** Final answers in order; throws for bytes that are no whole, well-framed answer. */
function answersIn(text: string): StrictMessage[] {
  const answers: StrictMessage[] = [];
  for (let rest = text; rest !== ''; ) {
    const reading = readResponse(rest);
    if (reading.kind === 'ill-framed') throw new Error(`${reading.problem} in ${text}`);
    // A connection that broke off inside an answer has shown that it is not whole.
    if (reading.kind === 'incomplete') break;
    if (!/^HTTP\/1\.1 1/.test(reading.message.startLine)) answers.push(reading.message);
    rest = rest.slice(reading.length);
  }
  return answers;
}

/** Everything up to the close, or until nothing more can come of an incomplete request. */
async function converse({ web }: Pair, text: string): Promise<string> {
  const bytes = Buffer.from(text, 'latin1');
  const socket = connect(web.outboundHttp);
  socket.setTimeout(400, () => socket.destroy());
  const cut = bytes.length % 7 === 0 ? Math.floor(bytes.length / 2) : bytes.length;
  socket.write(bytes.subarray(0, cut));
  if (cut < bytes.length) setImmediate(() => socket.write(bytes.subarray(cut)));
  return (await received(socket)).toString('latin1');
}

async function forEachAtOnce(count: number, work: (id: number) => Promise<void>): Promise<void> {
  const queue = Array.from({ length: count }, (_, id) => id);
  const worker = async (): Promise<void> => {
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) await work(id);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function mutated(random: (below: number) => number, template: string): string {
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  let text = template;
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
  return text;
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

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openEmbeddedStore } from '../../../src/global-registry/store/embedded-store.ts';
import type { RegistryStore } from '../../../src/global-registry/store/store.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { createLogger } from '../../../src/runtime/log.ts';
import { storeContract } from '../store-contract.ts';

const log = createLogger('test');
log.level = 'silent';

const HISTORY_REVISIONS_MAX = 60;

describe('embedded store', () => {
  let root: string;
  let counter = 0;
  const opened = new Set<RegistryStore>();
  const children = new Set<ChildProcess>();

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'isthmus-store-'));
  });
  afterEach(async () => {
    for (const store of opened) await store.close();
    opened.clear();
    for (const child of children) child.kill('SIGKILL');
    children.clear();
  });
  after(() => rm(root, { recursive: true }));

  const freshDir = (): string => join(root, String(counter++));
  const open = async (dir: string, options = {}): Promise<RegistryStore> => {
    const store = await openEmbeddedStore({ dir, log, ...options });
    opened.add(store);
    return store;
  };
  const close = async (store: RegistryStore): Promise<void> => {
    opened.delete(store);
    await store.close();
  };
  const put = (store: RegistryStore, key: string, value = key): Promise<bigint> =>
    store.commit({ puts: [{ key, value: Buffer.from(value) }], deletes: [] });
  const keysOf = async (store: RegistryStore): Promise<string[]> =>
    (await store.snapshot('')).entries.map(({ key }) => key);
  const failure = async (promise: Promise<unknown>): Promise<{ code: string; message: string }> => {
    try {
      await promise;
    } catch (error) {
      if (isMeshError(error)) return error;
      throw error;
    }
    return { code: 'ok', message: '' };
  };

  describe('keeps the contract', () => {
    storeContract(async () => {
      const dir = freshDir();
      const store = await open(dir, { historyRevisionsMax: HISTORY_REVISIONS_MAX });
      return {
        store,
        compact: async () => {
          for (let i = 0; i < HISTORY_REVISIONS_MAX; i++) await put(store, '/filler');
        },
        crash: async () => {
          await close(store);
          return open(dir);
        },
      };
    });
  });

  it('loses nothing it has acknowledged to a kill -9 in the middle of writing', async function () {
    this.timeout(60_000);
    const dir = freshDir();
    const acknowledged = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, [WRITER, dir, String(round)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.add(child);
      const exited = once(child, 'exit');
      let lines = 0;
      for await (const key of createInterface({ input: child.stdout })) {
        acknowledged.add(key);
        lines += 1;
        if (lines === 200 + round * 37) child.kill('SIGKILL');
      }
      await exited;
      expect(child.signalCode).to.equal('SIGKILL');
      const store = await open(dir);
      const found = new Set(await keysOf(store));
      expect([...acknowledged].filter(key => !found.has(key))).to.deep.equal([]);
      await close(store);
    }
  });

  it('cuts off a torn last write, whatever its length, and keeps all before it', async () => {
    const whole = freshDir();
    const store = await open(whole);
    await put(store, 'a');
    await put(store, 'b');
    await close(store);
    const journal = await readFile(join(whole, 'journal-1'));
    const last = journal.lastIndexOf(MAGIC);
    for (let length = last + 1; length < journal.length; length += 3) {
      const dir = freshDir();
      await close(await open(dir));
      await writeFile(join(dir, 'journal-1'), journal.subarray(0, length));
      const torn = await open(dir);
      expect(await keysOf(torn)).to.deep.equal(['a']);
      await put(torn, 'c');
      await close(torn);
      const again = await open(dir);
      expect(await keysOf(again)).to.deep.equal(['a', 'c']);
      await close(again);
    }
  });

  it('cuts off a last write whose bytes are wrong, or zeros where it should be', async () => {
    for (const damage of ['flipped', 'zeros']) {
      const dir = freshDir();
      const path = join(dir, 'journal-1');
      const store = await open(dir);
      await put(store, 'a');
      await put(store, 'b');
      await close(store);
      if (damage === 'flipped') {
        const journal = await readFile(path);
        journal[journal.length - 1] = 0x20;
        await writeFile(path, journal);
      } else {
        await appendFile(path, Buffer.alloc(512));
      }
      const reopened = await open(dir);
      expect(await keysOf(reopened)).to.deep.equal(damage === 'flipped' ? ['a'] : ['a', 'b']);
    }
  });

  it('refuses a journal damaged in the middle, naming the file and the offset', async () => {
    const dir = freshDir();
    const path = join(dir, 'journal-1');
    const store = await open(dir);
    await put(store, 'a');
    await put(store, 'b');
    await close(store);
    const journal = await readFile(path);
    const offset = journal.indexOf(MAGIC, 1);
    const damaged = Buffer.from(journal);
    damaged[offset + 14] = 0xff;
    await writeFile(path, damaged);
    const { code, message } = await failure(open(dir));
    expect(code).to.equal('FILE_CORRUPT');
    expect(message).to.include(path).and.include(`offset ${offset}`);
    await writeFile(path, journal);
    expect(await keysOf(await open(dir))).to.deep.equal(['a', 'b']);
  });

  it('shortens a long journal to a snapshot without losing anything', async () => {
    const dir = freshDir();
    const store = await open(dir, { journalBytesMax: 4_096 });
    const { leaseId } = await store.grantLease(60_000);
    const writes: Promise<bigint>[] = [];
    for (let i = 0; i < 400; i++) {
      writes.push(put(store, `k${i % 20}`, String(i)));
      if (i % 10 === 0) await Promise.all(writes);
    }
    await Promise.all(writes);
    const before = await store.snapshot('');
    await close(store);
    const files = (await readdir(dir)).sort();
    expect(files).to.include('snapshot');
    expect(files.filter(file => file.startsWith('journal-'))).to.have.length.below(3);
    expect(files).to.not.include('journal-1');
    const reopened = await open(dir);
    const after = await reopened.snapshot('');
    const sorted = (entries: typeof after.entries) =>
      [...entries].sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(sorted(after.entries)).to.deep.equal(sorted(before.entries));
    expect(after.revision).to.equal(before.revision);
    expect((await reopened.keepAlive(leaseId)).ttlMs).to.equal(60_000);
  });

  it('refuses a directory whose journals have a gap', async () => {
    const dir = freshDir();
    await close(await open(dir));
    await writeFile(join(dir, 'journal-3'), '', { mode: 0o600 });
    expect((await failure(open(dir))).code).to.equal('FILE_CORRUPT');
    await rm(join(dir, 'journal-3'));
    await open(dir);
  });

  it('lets one process in, and takes over from one that died', async () => {
    const dir = freshDir();
    const store = await open(dir);
    expect((await failure(open(dir))).code).to.equal('STATE_LOCKED');
    await close(store);
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    await writeFile(join(dir, 'lock'), `${dead.pid ?? 0} 12345`);
    await close(await open(dir));
    await writeFile(join(dir, 'lock'), `${process.pid} 12345`); // The pid lives on, the process does not.
    await close(await open(dir));
  });

  it('gives every lease a full TTL when it opens and when it had been stopped', async () => {
    const timers = new ManualTimers();
    const dir = freshDir();
    const store = await open(dir, { timers });
    const { leaseId } = await store.grantLease(5_000);
    timers.advance(4_999);
    await store.keepAlive(leaseId);
    timers.advance(4_999);
    await close(store);
    const reopened = await open(dir, { timers });
    timers.advance(4_999);
    await reopened.keepAlive(leaseId);
    timers.stall(60_000);
    timers.advance(4_999);
    await reopened.keepAlive(leaseId);
    timers.advance(5_000);
    expect((await failure(reopened.keepAlive(leaseId))).code).to.equal('LEASE_NOT_FOUND');
  });
});

const MAGIC = Buffer.from([0xf1, 0x49, 0x53, 0xff]);
const WRITER = fileURLToPath(new URL('../store-writer.js', import.meta.url));

class ManualTimers {
  #nowMs = 0;
  readonly #due = new Map<() => void, number>();

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): () => void {
    this.#due.set(run, this.#nowMs + ms);
    return () => this.#due.delete(run);
  }

  /** Runs what is due, each at its time. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#due].filter(([, at]) => at <= end).sort(([, a], [, b]) => a - b);
      if (next === undefined) break;
      this.#due.delete(next[0]);
      this.#nowMs = Math.max(this.#nowMs, next[1]);
      next[0]();
    }
    this.#nowMs = end;
  }

  /** Time passes while nothing runs; then everything due runs at once. */
  stall(ms: number): void {
    this.#nowMs += ms;
    this.advance(0);
  }
}

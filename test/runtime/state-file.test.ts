import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  ensurePrivateDir,
  readPrivateFile,
  readStateFile,
  writePrivateFile,
  writeStateFile,
} from '../../src/runtime/state-file.ts';
import { meshErrorOf } from './rejection.ts';
import { useTempDir } from './temp-dir.ts';

describe('state on disk', () => {
  const dir = useTempDir();
  const path = (): string => join(dir(), 'state');
  const mode = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

  describe('a state file', () => {
    for (const content of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(100_000, 0xab)]) {
      it(`gives back the ${content.length} bytes written, privately and without leftovers`, async () => {
        await writeStateFile(path(), content);
        expect(await readStateFile(path())).to.deep.equal(content);
        expect(await mode(path())).to.equal(0o600);
        expect(await readdir(dir())).to.deep.equal(['state']);
      });
    }

    it('is undefined when there is none', async () => {
      expect(await readStateFile(path())).to.equal(undefined);
    });

    it('replaces an older one whole', async () => {
      await writeStateFile(path(), Buffer.alloc(1000, 1));
      await writeStateFile(path(), Buffer.from('new'));
      expect(String(await readStateFile(path()))).to.equal('new');
    });

    it('is one of the contents written when several are written at once', async () => {
      const contents = ['a', 'bb', 'ccc'];
      await Promise.all(contents.map(text => writeStateFile(path(), Buffer.from(text))));
      expect(contents).to.include(String(await readStateFile(path())));
      expect(await readdir(dir())).to.deep.equal(['state']);
    });

    it('cut short at any byte is corrupt, and the error says what to do', async () => {
      await writeStateFile(path(), Buffer.from('last known good'));
      const whole = await readFile(path());
      for (let length = 0; length < whole.length; length++) {
        await writeFile(path(), whole.subarray(0, length));
        const error = await meshErrorOf(readStateFile(path()), 'FILE_CORRUPT');
        expect(error.message).to.include(path()).and.to.include('remove it to start without it');
      }
      await writeFile(path(), whole);
      expect(String(await readStateFile(path()))).to.equal('last known good');
    });

    it('with any bit flipped is corrupt', async () => {
      await writeStateFile(path(), Buffer.from('last known good'));
      const whole = await readFile(path());
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const damaged = Buffer.from(whole);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await writeFile(path(), damaged);
        await meshErrorOf(readStateFile(path()), 'FILE_CORRUPT');
      }
    });

    it('with bytes after its end is corrupt', async () => {
      await writeStateFile(path(), Buffer.from('x'));
      await writeFile(path(), Buffer.concat([await readFile(path()), Buffer.from('y')]));
      await meshErrorOf(readStateFile(path()), 'FILE_CORRUPT');
    });

    it('that others may read is refused with the command that closes it', async () => {
      await writeStateFile(path(), Buffer.from('secret'));
      await chmod(path(), 0o640);
      const error = await meshErrorOf(readStateFile(path()), 'FILE_PERMISSIONS');
      expect(error.message).to.include('mode 0640').and.to.include(`chmod go-rwx "${path()}"`);
      await chmod(path(), 0o600);
      expect(String(await readStateFile(path()))).to.equal('secret');
    });

    it('is unreadable when it is a directory', async () => {
      await mkdir(path(), { mode: 0o700 });
      await meshErrorOf(readPrivateFile(path()), 'FILE_UNREADABLE');
    });

    it('that cannot be replaced leaves no temporary file behind', async () => {
      await mkdir(join(path(), 'in-the-way'), { recursive: true });
      const error = await writePrivateFile(path(), 'x').catch((caught: unknown) => caught);
      expect(error).to.be.instanceOf(Error);
      expect(await readdir(dir())).to.deep.equal(['state']);
    });

    it('is the old or the new one after its writer was killed', async () => {
      const writer = fileURLToPath(new URL('fixtures/state-writer.js', import.meta.url));
      for (let round = 0; round < 5; round++) {
        const child = fork(writer, [path()]);
        // Each message follows a complete write; the kill falls somewhere into the next ones.
        for (let write = 0; write <= round; write++) await once(child, 'message');
        child.kill('SIGKILL');
        await once(child, 'exit');
        const content = await readStateFile(path());
        expect(new Set(content).size).to.equal(1);
        await writeStateFile(path(), Buffer.from('z'));
      }
    });
  });

  describe('a private directory', () => {
    it('is made with its parents, closed to others', async () => {
      const nested = join(dir(), 'a', 'b');
      await ensurePrivateDir(nested);
      expect(await mode(nested)).to.equal(0o700);
      expect(await mode(join(dir(), 'a'))).to.equal(0o700);
      await ensurePrivateDir(nested);
    });

    it('that others may enter is refused with the command that closes it', async () => {
      await chmod(dir(), 0o755);
      const error = await meshErrorOf(ensurePrivateDir(dir()), 'FILE_PERMISSIONS');
      expect(error.message).to.include('mode 0755').and.to.include(`chmod go-rwx "${dir()}"`);
      await chmod(dir(), 0o700);
      await ensurePrivateDir(dir());
    });

    it('cannot be made where a file is', async () => {
      await writeFile(path(), '');
      await meshErrorOf(ensurePrivateDir(path()), 'FILE_UNREADABLE');
    });
  });
});

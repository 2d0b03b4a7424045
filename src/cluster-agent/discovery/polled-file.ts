/**
 * A file that a person edits, read again when it changes.
 *
 * One that cannot be read or is wrong keeps what was read last: a typo must not take a cluster off the
 * mesh. It is polled, because editors and ConfigMaps replace files, and it is read only once it has stayed
 * the same between two looks, so that half a file is not taken for a short one.
 */

import { stat } from 'node:fs/promises';
import { messageOf } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import { sleep } from '../../runtime/supervise.ts';
import { FILE_POLL_MS } from '../limits.ts';

export interface PolledFileOptions {
  readonly file: string;
  /** Reads the file and puts what it says in force; throws for a file that is wrong. */
  readonly read: (file: string) => void;
  readonly log: Logger;
  readonly now: () => number;
}

export interface FileStatus {
  readonly file: string;
  /** Of what is in force. */
  readonly loadedMs: number | undefined;
  /** What is wrong with the file as it is now. */
  readonly problem: string | undefined;
}

export class PolledFile {
  readonly #options: PolledFileOptions;
  #readStamp = '';
  #loadedMs: number | undefined;
  #problem: string | undefined;

  constructor(options: PolledFileOptions) {
    this.#options = options;
  }

  status(): FileStatus {
    return { file: this.#options.file, loadedMs: this.#loadedMs, problem: this.#problem };
  }

  /** The first read, where there is no last good one yet. Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
  async load(): Promise<void> {
    const { file, read, now } = this.#options;
    this.#readStamp = await this.#stamp().catch(() => 'unreadable');
    read(file);
    this.#loadedMs = now();
    this.#problem = undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    let seen = this.#readStamp;
    while (!signal.aborted) {
      await sleep(FILE_POLL_MS, signal);
      const stamp = await this.#stamp().catch(() => 'unreadable');
      if (stamp === seen && stamp !== this.#readStamp) await this.#reload(stamp);
      seen = stamp;
    }
  }

  async #reload(stamp: string): Promise<void> {
    const { file, log } = this.#options;
    try {
      await this.load();
      log.info({ file }, 'file read again');
    } catch (error) {
      this.#readStamp = stamp;
      this.#problem = messageOf(error);
      log.error({ error, file }, 'file refused, keeping the last good one');
    }
  }

  async #stamp(): Promise<string> {
    const { mtimeMs, size, ino } = await stat(this.#options.file);
    return `${ino}/${size}/${mtimeMs}`;
  }
}

/**
 * The last good state on disk, so that a process can start with every other one down.
 *
 * Written a moment after a change, so that a burst costs one write; a crash in between loses that
 * moment and nothing else. A damaged file is reported and ignored: starting without it is the answer.
 */

import { isMeshError } from '../mesh/errors.ts';
import type { Logger } from './log.ts';
import { readStateFile, writeStateFile } from './state-file.ts';
import { aborted, sleep } from './supervise.ts';

export interface LastKnownGoodOptions {
  readonly path: string;
  /** The state to keep, asked for at each write; undefined keeps what was written before. */
  readonly serialise: () => Uint8Array | undefined;
  readonly delayMs: number;
  readonly log: Logger;
}

export class LastKnownGood {
  readonly name = 'last-known-good';
  readonly #options: LastKnownGoodOptions;
  #dirty = false;
  #writing: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(options: LastKnownGoodOptions) {
    this.#options = options;
  }

  /** `parse` throws for content it cannot use; undefined when there is no usable file. */
  async load<T>(parse: (content: Buffer) => T): Promise<T | undefined> {
    const { path, log } = this.#options;
    try {
      const content = await readStateFile(path);
      return content === undefined ? undefined : parse(content);
    } catch (error) {
      if (isMeshError(error, 'FILE_PERMISSIONS')) throw error;
      log.error({ error, path }, 'last known good state ignored');
      return undefined;
    }
  }

  /** The state has changed. */
  touch(): void {
    this.#dirty = true;
    this.#wake();
  }

  /** Resolves once the state as it is now is on disk, or could not be written, which is logged. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Writes what is unwritten before it settles. */
  async run(signal: AbortSignal): Promise<void> {
    const stopped = aborted(signal);
    while (!signal.aborted) {
      if (this.#dirty) await sleep(this.#options.delayMs, signal);
      else await Promise.race([stopped, this.#touched()]);
      await this.flush();
    }
    // What changed while that write was under way.
    await this.flush();
  }

  #touched(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  async #write(): Promise<void> {
    if (!this.#dirty) return;
    const { path, serialise, log } = this.#options;
    this.#dirty = false;
    try {
      const content = serialise();
      if (content !== undefined) await writeStateFile(path, content);
    } catch (error) {
      this.#dirty = true;
      log.error({ error, path }, 'last known good state not written');
    }
  }
}

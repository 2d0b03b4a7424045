/**
 * Discovery from a file: `services.yaml` → Collection<LocalService>, read again when it changes.
 *
 * A file that cannot be read or is wrong keeps the last good services: a typo must not take a cluster
 * off the mesh. The file is polled, because editors and ConfigMaps replace it, and it is read only once
 * it has stayed the same between two looks, so that half a file is not taken for a short one.
 */

import { stat } from 'node:fs/promises';
import { Table } from '../../mesh/collection.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import { keyOf, type LocalService } from '../../mesh/service.ts';
import type { Logger } from '../../runtime/log.ts';
import { sleep } from '../../runtime/supervise.ts';
import { SERVICES_POLL_MS } from '../limits.ts';
import { loadServicesFile, type ServicesOwner } from './services-file.ts';

export interface StaticSourceOptions {
  readonly file: string;
  readonly owner: ServicesOwner;
  readonly log: Logger;
  readonly now: () => number;
}

export interface StaticSourceStatus {
  readonly file: string;
  /** Of the services in force. */
  readonly loadedMs: number | undefined;
  /** What is wrong with the file as it is now. */
  readonly problem: string | undefined;
}

export class StaticSource {
  readonly name = 'static-source';
  readonly services = new Table<ServiceKey, LocalService>('services');
  readonly #options: StaticSourceOptions;
  #readStamp = '';
  #loadedMs: number | undefined;
  #problem: string | undefined;

  constructor(options: StaticSourceOptions) {
    this.#options = options;
  }

  status(): StaticSourceStatus {
    return { file: this.#options.file, loadedMs: this.#loadedMs, problem: this.#problem };
  }

  /** The first read, where there is no last good one yet. Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
  async load(): Promise<void> {
    const { file, owner, now } = this.#options;
    this.#readStamp = await this.#stamp().catch(() => 'unreadable');
    const services = loadServicesFile(file, owner);
    this.services.replaceAll(services.map(service => [keyOf(service), service]));
    this.#loadedMs = now();
    this.#problem = undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    let seen = this.#readStamp;
    while (!signal.aborted) {
      await sleep(SERVICES_POLL_MS, signal);
      const stamp = await this.#stamp().catch(() => 'unreadable');
      if (stamp === seen && stamp !== this.#readStamp) await this.#reload(stamp);
      seen = stamp;
    }
  }

  async #reload(stamp: string): Promise<void> {
    const { file, log } = this.#options;
    try {
      await this.load();
      log.info({ file, services: this.services.entries().size }, 'services file read');
    } catch (error) {
      this.#readStamp = stamp;
      this.#problem = messageOf(error);
      log.error({ error, file }, 'services file refused, keeping the last good one');
    }
  }

  async #stamp(): Promise<string> {
    const { mtimeMs, size, ino } = await stat(this.#options.file);
    return `${ino}/${size}/${mtimeMs}`;
  }
}

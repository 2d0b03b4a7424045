/** Discovery from a file: `services.yaml` → Collection<LocalService>. */

import { Table } from '../../mesh/collection.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import { keyOf, type LocalService } from '../../mesh/service.ts';
import type { Logger } from '../../runtime/log.ts';
import { type FileStatus, PolledFile } from './polled-file.ts';
import { loadServicesFile, type ServicesOwner } from './services-file.ts';

export interface StaticSourceOptions {
  readonly file: string;
  readonly owner: ServicesOwner;
  readonly log: Logger;
  readonly now: () => number;
}

export class StaticSource {
  readonly name = 'static-source';
  readonly services = new Table<ServiceKey, LocalService>('services');
  readonly #file: PolledFile;

  constructor({ file, owner, log, now }: StaticSourceOptions) {
    const read = (): void => {
      const services = loadServicesFile(file, owner);
      this.services.replaceAll(services.map(service => [keyOf(service), service]));
    };
    this.#file = new PolledFile({ file, read, log, now });
  }

  status(): FileStatus {
    return this.#file.status();
  }

  /** Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
  load(): Promise<void> {
    return this.#file.load();
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#file.run(signal);
  }
}

/**
 * How this cluster calls services, from a file: `policies.yaml` → Collection<ServicePolicy>. An agent without
 * the file has no policies, and every service the defaults.
 */

import { Table } from '../../mesh/collection.ts';
import type { ServicePolicy } from '../../mesh/failover-policy.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import type { Logger } from '../../runtime/log.ts';
import { aborted } from '../../runtime/supervise.ts';
import { loadPoliciesFile } from './policies-file.ts';
import { type FileStatus, PolledFile } from './polled-file.ts';

export interface PolicySourceOptions {
  /** Undefined: none is configured. */
  readonly file: string | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

export class PolicySource {
  readonly name = 'policy-source';
  readonly policies = new Table<ServiceKey, ServicePolicy>('policies');
  readonly #file: PolledFile | undefined;

  constructor({ file, log, now }: PolicySourceOptions) {
    if (file === undefined) return;
    const read = (): void => this.policies.replaceAll(loadPoliciesFile(file));
    this.#file = new PolledFile({ file, read, log, now });
  }

  status(): FileStatus | undefined {
    return this.#file?.status();
  }

  /** Throws CONFIG_UNREADABLE, CONFIG_INVALID. */
  async load(): Promise<void> {
    await this.#file?.load();
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#file?.run(signal) ?? aborted(signal);
  }
}

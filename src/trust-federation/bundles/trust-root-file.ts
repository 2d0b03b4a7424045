/**
 * Keeps `trust-root.pem` equal to the roots of one's own trust domain: an agent's is handed to new
 * proxies, a proxy's is what it recognises its agent by when everything else is lost.
 */

import { join } from 'node:path';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { aborted, sleep } from '../../runtime/supervise.ts';
import { saveRoots, TRUST_ROOT_FILE } from '../authority/root-file.ts';

export interface TrustRootFileOptions {
  readonly stateDir: string;
  readonly trustDomain: TrustDomain;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly log: Logger;
}

const RETRY_MS = 10_000;

export class TrustRootFile {
  readonly name = 'trust-root-file';
  readonly #options: TrustRootFileOptions;
  #written: TrustBundle | undefined;
  #wake: () => void = () => undefined;

  constructor(options: TrustRootFileOptions) {
    this.#options = options;
    options.bundles.observe(() => this.#wake());
  }

  /** An empty bundle is not written: the file could not be read again. */
  async write(): Promise<void> {
    const { stateDir, trustDomain, bundles } = this.#options;
    const bundle = bundles.get(trustDomain);
    if (bundle !== undefined && bundle.x509Authorities.length > 0) {
      await saveRoots(join(stateDir, TRUST_ROOT_FILE), bundle);
    }
    this.#written = bundle;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { bundles, trustDomain, log } = this.#options;
    const stopped = aborted(signal);
    while (!signal.aborted) {
      if (bundles.get(trustDomain) === this.#written) {
        await Promise.race([stopped, this.#changed()]);
        continue;
      }
      try {
        await this.write();
      } catch (error) {
        log.error({ error, file: TRUST_ROOT_FILE }, 'trust root not written');
        await sleep(RETRY_MS, signal);
      }
    }
  }

  #changed(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }
}

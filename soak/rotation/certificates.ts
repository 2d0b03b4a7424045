/** What the proxies say they serve and trust, watched from outside. */

import { askAdminBody } from '../../src/cli/admin-client.ts';
import type { GatewayMember, SidecarMember } from '../../src/cli/fleet.ts';
import { sleep } from '../../src/runtime/supervise.ts';

interface IdentityAnswer {
  readonly notAfterMs: number;
  readonly issuer?: { readonly sha256: string };
}
interface BundleAnswer {
  readonly roots: readonly string[];
}

const LOOK_MS = 1_000;

/** Counts certificates that were replaced, by their expiry, once a second. */
export class RotationCounter {
  readonly #proxies: readonly (GatewayMember | SidecarMember)[];
  readonly #seen = new Map<string, string>();
  #rotations = 0;

  constructor(proxies: readonly (GatewayMember | SidecarMember)[]) {
    this.#proxies = proxies;
  }

  get rotations(): number {
    return this.#rotations;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await Promise.all(this.#proxies.map(proxy => this.#look(proxy)));
      await sleep(LOOK_MS, signal);
    }
  }

  async #look({ name, admin }: GatewayMember | SidecarMember): Promise<void> {
    const identity = await askAdminBody<IdentityAnswer>(admin, '/debug/identity');
    if (identity === undefined) return;
    const seen = `${identity.notAfterMs} ${identity.issuer?.sha256 ?? ''}`;
    const before = this.#seen.get(name);
    this.#seen.set(name, seen);
    if (before !== undefined && before !== seen) this.#rotations += 1;
  }
}

/** Proxies that have this root in any of their bundles. */
export async function holdersOf(
  root: string,
  proxies: readonly (GatewayMember | SidecarMember)[],
): Promise<string[]> {
  const holders = await Promise.all(
    proxies.map(async ({ name, admin }) => {
      const bundles = await askAdminBody<BundleAnswer[]>(admin, '/debug/bundles');
      return bundles?.some(({ roots }) => roots.includes(root)) === true ? [name] : [];
    }),
  );
  return holders.flat();
}

/** Step 1: two roots, neither of which can speak for the other, and who holds which. */

import { askAdminBody } from '../../admin-client.ts';
import type { Narrator } from '../narrator.ts';
import type { World } from '../world.ts';

interface BundleAnswer {
  readonly trustDomain: string;
  readonly sequence: number;
  readonly roots: readonly string[];
}
interface ClusterAnswer {
  readonly name: string;
  readonly local: boolean;
  readonly bundle: BundleAnswer;
}

export async function tellTrust(world: World, narrator: Narrator): Promise<void> {
  const rootOf = new Map<string, string>();
  for (const { agent } of world.fleet.clusters) {
    const clusters = await askAdminBody<ClusterAnswer[]>(agent.admin, '/debug/clusters');
    const own = clusters?.find(cluster => cluster.local);
    const root = own?.bundle.roots[0] ?? '';
    rootOf.set(agent.trustDomain, root);
    narrator.show(
      `${agent.trustDomain} root`,
      `sha256 ${shortFingerprint(root)}`,
      `root.${agent.trustDomain}`,
      root,
    );
  }
  narrator.check(
    'every cluster has a root of its own',
    new Set(rootOf.values()).size === world.fleet.clusters.length && !rootOf.has(''),
    `${rootOf.size} distinct roots`,
  );

  for (const cluster of world.fleet.clusters) {
    for (const proxy of [cluster.gateway, ...cluster.sidecars]) {
      if (proxy.component === 'gateway') continue; // Splices bytes; verifies nobody.
      const bundles = (await askAdminBody<BundleAnswer[]>(proxy.admin, '/debug/bundles')) ?? [];
      const held = bundles
        .map(bundle => `${bundle.trustDomain} ${shortFingerprint(bundle.roots[0] ?? '')}`)
        .sort();
      const right = [...rootOf].every(([domain, root]) =>
        bundles.some(
          bundle =>
            bundle.trustDomain === domain && bundle.roots.length === 1 && bundle.roots[0] === root,
        ),
      );
      narrator.check(
        `${proxy.name} holds each domain's root, and only that`,
        right && bundles.length === rootOf.size,
        held.join(', '),
      );
    }
  }
}

/** The first eight bytes, enough to compare by eye. */
export function shortFingerprint(sha256: string): string {
  return `${sha256.slice(0, 16).replaceAll(/(..)(?=.)/g, '$1:')}…`;
}

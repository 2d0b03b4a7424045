/** `isthmus init`. */

import type { Command } from 'commander';
import { initClusterSetDir } from '../init.ts';

export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description(
      'make the ClusterSet authority and the credentials of the registry and its clusters',
    )
    .argument('<dir>', 'folder to make, or to add to')
    .requiredOption(
      '--cluster-set <trust-domain>',
      'trust domain of the ClusterSet, such as clusterset.example',
    )
    .option('--cluster <names...>', 'members to make credentials for now, such as east west', [])
    .action(async (dir: string, options: { clusterSet: string; cluster: string[] }) => {
      process.stdout.write(await initClusterSetDir(dir, options.clusterSet, options.cluster));
    });
}

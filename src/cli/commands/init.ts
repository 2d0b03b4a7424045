/** `isthmus init`. */

import type { Command } from 'commander';
import { initClusterSetDir } from '../init.ts';

export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description(
      'make the ClusterSet authority and the credentials of the registry and its clusters',
    )
    .argument('<dir>', 'folder to make; refused when it already holds an authority')
    .requiredOption(
      '--cluster-set <trust-domain>',
      'trust domain of the ClusterSet, such as clusterset.example',
    )
    .requiredOption('--cluster <names...>', 'member clusters, such as east west')
    .action(async (dir: string, options: { clusterSet: string; cluster: string[] }) => {
      process.stdout.write(await initClusterSetDir(dir, options.clusterSet, options.cluster));
    });
}

/** `isthmus trust import`: a root or a shared root's intermediate, made elsewhere, for a cluster's authority. */

import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { MeshError } from '../../mesh/errors.ts';
import { parseTrustDomain, type TrustDomain } from '../../mesh/spiffe-id.ts';
import { importedRoot } from '../../trust-federation/authority/imported-root.ts';
import { installRoot } from '../../trust-federation/authority/install-root.ts';
import { TrustMaterialDefinition } from '../../wire/generated/isthmus/operator/v1/trust_material.ts';
import { readFleet } from '../fleet.ts';
import { rootMaterialIn } from '../imported-files.ts';
import { agentOf, operatorChannel } from '../operator.ts';
import { configDirOption } from '../options.ts';
import { formatRollover } from '../rollover.ts';
import { trustGroup } from './trust.ts';

interface Options {
  readonly configDir: string;
  readonly root?: string;
  readonly intermediate?: string;
  readonly key?: string;
  readonly passwordFile?: string;
  readonly auto: boolean;
  readonly agentStateDir?: string;
  readonly trustDomain?: TrustDomain;
}

export function addTrustImportCommand(program: Command): void {
  trustGroup(program)
    .command('import')
    .description('use a root that was made elsewhere; of a running agent, by a rollover to it')
    .argument('<cluster>', 'whose root')
    .option('--root <file>', 'the root: PEM or PKCS#12')
    .option('--intermediate <file>', 'the CA that signs under a shared root: PEM or PKCS#12')
    .option('--key <file>', 'its private key, where that is not in the same file')
    .option('--password-file <file>', 'for encrypted keys and PKCS#12')
    .option('--auto', 'let the rollover go on wherever the next step is proven', false)
    .option('--agent-state-dir <dir>', 'before the first start of an agent: put it in place there')
    .addOption(
      new Option('--trust-domain <name>', 'with --agent-state-dir: as in its agent.yaml').argParser(
        parseTrustDomain,
      ),
    )
    .addOption(configDirOption())
    .action(async (cluster: string, options: Options) => {
      const text =
        options.agentStateDir === undefined
          ? await rollOver(cluster, options)
          : await putInPlace(options.agentStateDir, options);
      process.stdout.write(text);
    });
}

async function rollOver(cluster: string, options: Options): Promise<string> {
  const agent = agentOf(readFleet(options.configDir), cluster);
  const material = rootMaterialIn(options);
  // Here too, so that what is wrong is said before a key leaves this process.
  importedRoot(material, agent.trustDomain, Date.now());
  const { root, intermediate = new Uint8Array(), key } = material;
  const channel = await operatorChannel(agent, TrustMaterialDefinition);
  try {
    const status = await channel.unary(TrustMaterialDefinition.methods.importRoot, {
      root: Buffer.from(root),
      intermediate: Buffer.from(intermediate),
      key: key.export({ type: 'pkcs8', format: 'der' }),
      auto: options.auto,
    });
    return formatRollover(cluster, status, Date.now());
  } finally {
    channel.close();
  }
}

async function putInPlace(stateDir: string, options: Options): Promise<string> {
  const { trustDomain } = options;
  if (trustDomain === undefined) {
    throw new MeshError('CONFIG_INVALID', '--agent-state-dir needs --trust-domain');
  }
  const imported = importedRoot(rootMaterialIn(options), trustDomain, Date.now());
  const dir = join(stateDir, 'authority');
  await installRoot(dir, imported, Date.now());
  return `${dir} signs with the imported root from the agent's first start on\n`;
}

/** `isthmus trust export`: a cluster's roots, in the form that other software reads. */

import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { MeshError } from '../../mesh/errors.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { certificatesPem } from '../../trust-federation/x509/pem.ts';
import { formatBundleDocument } from '../../wire/bundle-document.ts';
import { readFleet } from '../fleet.ts';
import { agentOf } from '../operator.ts';
import { configDirOption } from '../options.ts';
import { readPassword } from '../pki-files.ts';
import { askMaterial, ownBundleIn } from '../trust-material.ts';
import { formatTrustStore } from '../trust-store.ts';
import { trustGroup } from './trust.ts';

interface Options {
  readonly configDir: string;
  readonly format: 'pem' | 'p12' | 'spiffe';
  readonly out?: string;
  readonly passwordFile?: string;
}

export function addTrustExportCommand(program: Command): void {
  trustGroup(program)
    .command('export')
    .description("write a cluster's roots as PEM, as a PKCS#12 trust store, or as a SPIFFE bundle")
    .argument('<cluster>', 'whose roots')
    .addOption(
      new Option('--format <format>', 'pem, p12 or spiffe')
        .choices(['pem', 'p12', 'spiffe'])
        .default('pem'),
    )
    .option('--out <file>', 'instead of standard output')
    .option('--password-file <file>', 'p12: the password that protects it from being changed')
    .addOption(configDirOption())
    .action(async (cluster: string, options: Options) => {
      const agent = agentOf(readFleet(options.configDir), cluster);
      const bytes = format(cluster, ownBundleIn(await askMaterial(agent)), options);
      if (options.out === undefined) process.stdout.write(bytes);
      else writeFileSync(options.out, bytes);
    });
}

function format(cluster: string, bundle: TrustBundle, options: Options): Uint8Array | string {
  switch (options.format) {
    case 'pem':
      return certificatesPem(bundle.x509Authorities);
    case 'spiffe':
      return formatBundleDocument(bundle);
    case 'p12': {
      if (options.passwordFile === undefined) {
        throw new MeshError('CONFIG_INVALID', 'a trust store needs --password-file');
      }
      const certificates = bundle.x509Authorities.map((certificate, index) => ({
        name: `${cluster} root ${index + 1}`,
        certificate,
      }));
      return formatTrustStore(certificates, readPassword(options.passwordFile));
    }
  }
}

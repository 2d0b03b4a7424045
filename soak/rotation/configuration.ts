/**
 * The demo's three clusters on free ports, with certificates that live seconds, a TCP port beside
 * payments' HTTP port, reached from web, and a knife between eu's agent and the registry.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { formatAddress, parseAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { relocate } from '../../test/support/relocate.ts';
import { addStreamPort, editYaml } from '../../test/support/stream-port.ts';
import { type Cuttable, openCuttable } from '../cut.ts';

export const CLUSTERS = ['east', 'west', 'eu'] as const;
export const SVID_TTL = '20s';
const DEMO_CLUSTERS = fileURLToPath(new URL('../../../clusters', import.meta.url));

/** Whom the knife can cut off from the registry. */
export const CUT_OFF = 'eu';

export interface Ways {
  /** Where web's sidecar takes the streams. */
  readonly entry: SocketAddress;
  /** Where payments' echo has to listen. */
  readonly echo: SocketAddress;
  /** Between the agent of CUT_OFF and the registry. */
  readonly knife: Cuttable;
}

export async function writeConfiguration(configDir: string): Promise<Ways> {
  await relocate(DEMO_CLUSTERS, configDir);
  const echo = await findFreeAddress('127.0.0.1');
  for (const cluster of CLUSTERS) {
    editYaml(join(configDir, cluster, 'agent.yaml'), agent => ({ ...agent, svidTtl: SVID_TTL }));
  }
  const entry = await addStreamPort(configDir, 'east/web', echo);
  const registryFile = join(configDir, 'registry.yaml');
  const { listen } = parse(readFileSync(registryFile, 'utf8')) as { listen: string };
  const registry = parseAddress(listen);
  // On every address: one of them is the knife's.
  editYaml(registryFile, rest => ({ ...rest, listen: `0.0.0.0:${registry.port}` }));
  const knife = await openCuttable([registry]);
  editYaml(join(configDir, CUT_OFF, 'agent.yaml'), agent => ({
    ...agent,
    registry: knife.addresses.map(formatAddress),
  }));
  return { entry, echo, knife };
}

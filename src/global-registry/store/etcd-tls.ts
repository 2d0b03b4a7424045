/** How this process and etcd prove themselves to each other: the files, and the connections. */

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { checkServerIdentity } from 'node:tls';
import { Channel, ChannelCredentials, type ClientOptions } from '@grpc/grpc-js';
import { parseAddress } from '../../mesh/address.ts';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import { readPrivateFile } from '../../runtime/state-file.ts';

/** Paths, relative to the configuration file. */
export interface EtcdTlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** PEM. */
export interface EtcdTls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Throws FILE_UNREADABLE, FILE_PERMISSIONS for a key that others may read. */
export async function loadEtcdTls(files: EtcdTlsFiles, configFile: string): Promise<EtcdTls> {
  const path = (file: string): string => resolve(dirname(configFile), file);
  const [ca, cert] = await Promise.all([readPem(path(files.ca)), readPem(path(files.cert))]);
  const key = await readPrivateFile(path(files.key));
  if (key !== undefined) return { ca, cert, key };
  throw new MeshError(
    'FILE_UNREADABLE',
    `"${path(files.key)}" does not exist; it is store.tls.key`,
  );
}

/** Sent instead of an address, which is no server name (RFC 6066 §3); etcd has one certificate for all. */
const SERVER_NAME_OF_ADDRESS = 'etcd.isthmus.internal';

/** Options of an etcd3 client. Its own way to TLS would send whatever the endpoint is called. */
export function etcdTlsChannels({
  ca,
  cert,
  key,
}: EtcdTls): Pick<ClientOptions, 'channelFactoryOverride'> {
  return {
    channelFactoryOverride: (endpoint, _, options) => {
      const { host } = parseAddress(endpoint);
      const credentials = ChannelCredentials.createSsl(ca, key, cert, {
        checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
      });
      const serverName = isIP(host) === 0 ? host : SERVER_NAME_OF_ADDRESS;
      const named = { ...options, 'grpc.ssl_target_name_override': serverName };
      return new Channel(endpoint, credentials, named);
    },
  };
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `"${path}" cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

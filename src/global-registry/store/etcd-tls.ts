/** The files with which this process and etcd prove themselves to each other. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
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

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `"${path}" cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

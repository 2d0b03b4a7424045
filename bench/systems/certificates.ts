/**
 * mTLS credentials for the peers, shaped like ours: ECDSA P-256, leaf under an intermediate under a
 * root. The server's leaf carries the DNS names that peers compare; ours carries a SPIFFE ID.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../tools.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  /** Leaf first, without the root. */
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
}

export interface PeerTls extends TlsFiles {
  /** Chain and key in one file, as HAProxy wants them. */
  readonly combined: string;
}

export interface PeerCredentials {
  readonly client: PeerTls;
  readonly server: PeerTls;
}

const SECONDS_PLANNED = 5;

export async function makePeerCredentials(
  dir: string,
  openssl: string,
  serverNames: readonly string[],
  signal: AbortSignal,
): Promise<PeerCredentials> {
  await mkdir(dir, { recursive: true });
  const file = (name: string): string => join(dir, name);
  await writeFile(file('openssl.cnf'), configuration(serverNames));
  const issue = async (name: string, extensions: string, issuer?: string): Promise<void> => {
    const signed = issuer === undefined ? [] : pair('-CA', file(issuer), '-CAkey');
    const args = [
      ...['req', '-x509', '-config', file('openssl.cnf'), '-extensions', extensions],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)],
      ...signed,
    ];
    await runTool(openssl, args, SECONDS_PLANNED, signal);
  };
  await issue('root', 'authority');
  await issue('intermediate', 'authority', 'root');
  const leaf = async (name: 'client' | 'server'): Promise<PeerTls> => {
    await issue(name, name, 'intermediate');
    const read = (part: string): Promise<string> => readFile(file(part), 'utf8');
    const chain = (await read(`${name}.crt`)) + (await read('intermediate.crt'));
    await writeFile(file(`${name}.chain`), chain);
    await writeFile(file(`${name}.pem`), chain + (await read(`${name}.key`)));
    return {
      chain: file(`${name}.chain`),
      key: file(`${name}.key`),
      roots: file('root.crt'),
      combined: file(`${name}.pem`),
    };
  };
  return { client: await leaf('client'), server: await leaf('server') };
}

/** The certificate and the key of an issuer. */
function pair(certificateFlag: string, base: string, keyFlag: string): string[] {
  return [certificateFlag, `${base}.crt`, keyFlag, `${base}.key`];
}

function configuration(serverNames: readonly string[]): string {
  return `[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[client]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = DNS:client.bench.internal
[server]
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = ${serverNames.map(name => `DNS:${name}`).join(', ')}
`;
}

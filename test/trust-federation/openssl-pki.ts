/** CAs as another PKI makes them: by the openssl command, in a directory, as files. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CaSpec {
  /** `<name>.crt`, `<name>.key`. */
  readonly name: string;
  /** Default: P-256. */
  readonly algorithm?: 'P-256' | 'P-384' | 'rsa:2048' | 'rsa:1024';
  /** Default: itself. */
  readonly issuer?: string;
  readonly extensions: readonly string[];
  readonly days?: number;
}

export function openssl(dir: string, ...args: readonly string[]): string {
  return execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: 'pipe' });
}

export function makeCa(dir: string, spec: CaSpec): void {
  const { name, algorithm = 'P-256', issuer, extensions, days = 365 } = spec;
  const newKey = algorithm.startsWith('rsa')
    ? ['-newkey', algorithm]
    : ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${algorithm}`];
  const config = join(dir, `${name}.cnf`);
  writeFileSync(
    config,
    `[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\nsubjectKeyIdentifier=hash\n${extensions.join('\n')}\n`,
  );
  const subject = ['-subj', `/O=Example Corp/CN=${name}`, '-nodes', '-keyout', `${name}.key`];
  if (issuer === undefined) {
    const out = ['-out', `${name}.crt`, '-days', `${days}`, '-config', config];
    openssl(dir, 'req', '-x509', '-sha256', ...newKey, ...subject, ...out);
    return;
  }
  openssl(dir, 'req', ...newKey, ...subject, '-out', `${name}.csr`, '-config', config);
  openssl(
    dir,
    'x509',
    '-req',
    '-sha256',
    '-in',
    `${name}.csr`,
    '-CA',
    `${issuer}.crt`,
    '-CAkey',
    `${issuer}.key`,
    '-CAcreateserial',
    '-out',
    `${name}.crt`,
    '-days',
    `${days}`,
    '-extfile',
    config,
    '-extensions',
    'ext',
  );
}

export const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];

/** Of an intermediate for one trust domain under a shared root. */
export function ownOf(trustDomain: string): string[] {
  return [
    'basicConstraints=critical,CA:TRUE,pathlen:1',
    'keyUsage=critical,keyCertSign,cRLSign',
    'authorityKeyIdentifier=keyid',
    `subjectAltName=URI:spiffe://${trustDomain}`,
    `nameConstraints=critical,permitted;URI:${trustDomain}`,
  ];
}

/** Certificates for an etcd behind TLS: two authorities, a server, its client, and a stranger. */

import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes `ca`, `other-ca`, `server`, `client` and `stranger` (the other authority's), each .pem and .key. */
export function makeEtcdPki(dir: string): void {
  makeAuthority(dir, 'ca');
  makeAuthority(dir, 'other-ca');
  writeFileSync(join(dir, 'san.cnf'), 'subjectAltName=IP:127.0.0.1\n');
  for (const [name, authority] of [
    ['server', 'ca'],
    ['client', 'ca'],
    ['stranger', 'other-ca'],
  ] as const) {
    makeLeaf(dir, name, authority);
  }
}

function openssl(dir: string, ...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function makeAuthority(dir: string, name: string): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl(dir, 'req', '-x509', ...NEW_KEY, ...files, '-subj', `/CN=${name}`, '-days', '2');
}

function makeLeaf(dir: string, name: string, authority: string): void {
  const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`];
  openssl(dir, 'req', '-new', ...NEW_KEY, ...request);
  const signed = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', 'san.cnf', '-days', '2'];
  const by = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  openssl(dir, 'x509', '-req', ...signed, ...by);
  chmodSync(join(dir, `${name}.key`), 0o600);
}

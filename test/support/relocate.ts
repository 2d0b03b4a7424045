/** A copy of a configuration folder on ports that are free, so that tests never meet a running demo. */

import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreeAddress } from '../../src/runtime/listen.ts';

/** Replaces every loopback port of the YAML files, the same port by the same new one. */
export async function relocate(source: string, target: string): Promise<void> {
  cpSync(source, target, { recursive: true });
  const files = yamlFiles(target);
  const texts = files.map(file => readFileSync(file, 'utf8'));
  const ports = new Map<string, string>();
  for (const text of texts) {
    for (const [, port] of text.matchAll(LOOPBACK_PORT)) {
      if (port === undefined || ports.has(port)) continue;
      let free: string;
      do free = String((await findFreeAddress('127.0.0.1')).port);
      while ([...ports.values()].includes(free));
      ports.set(port, free);
    }
  }
  for (const [index, file] of files.entries()) {
    const moved = texts[index]?.replaceAll(
      LOOPBACK_PORT,
      (_, port: string) => `127.0.0.1:${ports.get(port) ?? port}`,
    );
    writeFileSync(file, moved ?? '');
  }
}

const LOOPBACK_PORT = /127\.0\.0\.1:([0-9]+)/g;

/** The file itself, or every YAML file below a folder. */
export function yamlFiles(path: string): string[] {
  if (statSync(path).isDirectory()) {
    return readdirSync(path).flatMap(name => yamlFiles(join(path, name)));
  }
  return path.endsWith('.yaml') ? [path] : [];
}

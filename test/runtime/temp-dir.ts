/** A directory for one test, removed after it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'mocha';

/** Call inside `describe`; the function returned gives the path while a test runs. */
export function useTempDir(): () => string {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  return () => dir;
}

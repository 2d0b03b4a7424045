/**
 * The embedded store's directory: `lock`, `snapshot` and `journal-<n>`.
 *
 * The snapshot names the first journal that is not contained in it. When the journal grows too long:
 *   1. journal n is completed and n+1 begun;
 *   2. the state, which holds all of n and perhaps some of n+1, is written as the snapshot that
 *      continues with n+1;
 *   3. journal n is removed.
 * A crash between any two steps leaves a snapshot and every journal since, which together are the state.
 */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import { ensurePrivateDir, readStateFile, writeStateFile } from '../../runtime/state-file.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import { EmbeddedState, type StateImage, type StateRecord } from './embedded-state.ts';
import { type Journal, openJournal, replayJournal } from './journal.ts';
import type { Revision } from './store.ts';

interface SnapshotFile {
  /** The journal that continues it. */
  readonly journal: number;
  readonly state: StateImage;
}

class EmbeddedFiles {
  readonly #dir: string;
  readonly #log: Logger;
  readonly #lock: DirectoryLock;
  readonly #journal: Journal;
  #number: number;
  #rotating: Promise<void> | undefined;

  constructor(dir: string, log: Logger, lock: DirectoryLock, number: number, journal: Journal) {
    this.#dir = dir;
    this.#log = log;
    this.#lock = lock;
    this.#number = number;
    this.#journal = journal;
  }

  append(record: StateRecord): Promise<void> {
    return this.#journal.append(record);
  }

  flushed(): Promise<void> {
    return this.#journal.flushed();
  }

  /** Moves on to a new journal, in the background, once the current one is longer than this. */
  rotate(bytesMax: number, state: EmbeddedState): void {
    if (this.#journal.bytes <= bytesMax || this.#rotating !== undefined) return;
    this.#rotating = this.#rotate(state)
      .catch((error: unknown) =>
        this.#log.error({ error }, 'store snapshot failed; the journal keeps growing'),
      )
      .finally(() => {
        this.#rotating = undefined;
      });
  }

  async close(): Promise<void> {
    await this.#rotating;
    await this.#journal.close();
    await this.#lock.release();
  }

  async #rotate(state: EmbeddedState): Promise<void> {
    const number = this.#number + 1;
    await this.#journal.continueIn(journalPath(this.#dir, number));
    this.#number = number;
    const snapshot: SnapshotFile = { journal: number, state: state.image() };
    await writeStateFile(join(this.#dir, 'snapshot'), Buffer.from(JSON.stringify(snapshot)));
    await removeJournalsBefore(this.#dir, number);
  }
}

export interface OpenedFiles {
  readonly files: EmbeddedFiles;
  readonly state: EmbeddedState;
  /** Changes since the snapshot: what a watch can resume from. */
  readonly recent: readonly Revision[];
}

/** Throws STATE_LOCKED, FILE_CORRUPT, FILE_UNREADABLE, FILE_PERMISSIONS. */
export async function openEmbeddedFiles(dir: string, log: Logger): Promise<OpenedFiles> {
  await ensurePrivateDir(dir);
  const lock = await lockDirectory(dir);
  try {
    const state = new EmbeddedState();
    const recent: Revision[] = [];
    const first = await loadSnapshot(dir, state);
    await removeJournalsBefore(dir, first);
    const numbers = await journalNumbers(dir);
    const last = numbers.at(-1) ?? first;
    if (numbers.length > 0 && (numbers[0] !== first || last - first + 1 !== numbers.length)) {
      throw new MeshError(
        'FILE_CORRUPT',
        `"${dir}" has journals ${numbers.join(', ')} where ${first} to ${last} are needed; restore it from a copy, or remove it and let every cluster's agent publish again`,
      );
    }
    const replay = (record: unknown): void => {
      const change = state.apply(record as StateRecord);
      if (change !== undefined) recent.push(change);
    };
    for (const number of numbers.slice(0, -1))
      await replayJournal(journalPath(dir, number), replay);
    const journal = await openJournal(journalPath(dir, last), replay, log);
    return { files: new EmbeddedFiles(dir, log, lock, last, journal), state, recent };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The number of the journal to continue with. */
async function loadSnapshot(dir: string, state: EmbeddedState): Promise<number> {
  const content = await readStateFile(join(dir, 'snapshot'));
  if (content === undefined) return 1;
  const snapshot = JSON.parse(content.toString()) as SnapshotFile;
  state.load(snapshot.state);
  return snapshot.journal;
}

function journalPath(dir: string, number: number): string {
  return join(dir, `journal-${number}`);
}

async function journalNumbers(dir: string): Promise<number[]> {
  const numbers = (await readdir(dir)).map(name =>
    Number(/^journal-([1-9][0-9]*)$/.exec(name)?.[1]),
  );
  return numbers.filter(number => !Number.isNaN(number)).sort((a, b) => a - b);
}

async function removeJournalsBefore(dir: string, number: number): Promise<void> {
  for (const old of await journalNumbers(dir)) if (old < number) await rm(journalPath(dir, old));
}

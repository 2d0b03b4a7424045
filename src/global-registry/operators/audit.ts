/**
 * The journal of federation changes: who was admitted, joined and left, what is exported, owned, intended, confirmed,
 * and what was refused.
 *
 * It lives in the store, so every registry process writes to and reads from the same one, and an entry
 * is part of the commit it is about: there is no change without its entry, nor an entry without its
 * change. Nothing rewrites an entry. When it is full the oldest entries go (limits.ts); every entry is
 * also a line of the log of the process that wrote it, for whoever keeps more.
 */

import { randomBytes } from 'node:crypto';
import { messageOf } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import * as pb from '../../wire/generated/isthmus/registry/v1/registry.ts';
import { auditKey } from '../keys.ts';
import { AUDIT_CHANGES_MAX, AUDIT_ENTRIES_MAX, AUDIT_TEXT_CHARS_MAX } from '../limits.ts';
import type { Commit } from '../store/store.ts';
import type { TableMirror } from '../table/table-mirror.ts';

export type AuditAction =
  | 'cluster-joined'
  | 'cluster-changed'
  | 'cluster-left'
  | 'bundle-changed'
  | 'export-added'
  | 'export-changed'
  | 'export-removed'
  | 'token-created'
  | 'token-redeemed'
  | 'token-revoked'
  | 'intent-set'
  | 'intent-removed'
  | 'store-confirmed'
  | 'refused';

export interface AuditChange {
  readonly action: AuditAction;
  /** A cluster, a service of a cluster, an intent. */
  readonly subject: string;
  /** Summaries; empty where there is nothing. */
  readonly before: string;
  readonly after: string;
}

export interface JournalOptions {
  readonly mirror: TableMirror;
  /** How this process signs its entries. */
  readonly registry: string;
  readonly log: Logger;
  readonly now: () => number;
}

export class AuditJournal {
  readonly #options: JournalOptions;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** The commit with an entry about it. Log the entry with `written` once it is there. */
  into(commit: Commit, who: string, changes: readonly AuditChange[]): Commit {
    if (changes.length === 0) return commit;
    const { mirror, now } = this.#options;
    const key = auditKey(now(), randomBytes(4).toString('hex'));
    const value = pb.AuditEntry.encode(this.#encode(who, changes)).finish();
    const entries = mirror.table.privateRows('audit');
    const full = Math.max(0, entries.size + 1 - AUDIT_ENTRIES_MAX);
    const oldest = [...entries.keys()].slice(0, Math.min(full, PRUNED_MAX));
    return {
      puts: [...commit.puts, { key, value }],
      deletes: [...commit.deletes, ...oldest],
      expect: [...(commit.expect ?? []), { key, revision: 0n }],
    };
  }

  written(who: string, changes: readonly AuditChange[]): void {
    for (const change of changes) this.#options.log.info({ who, ...change }, 'audit');
  }

  #encode(who: string, changes: readonly AuditChange[]): pb.AuditEntry {
    const { registry, now } = this.#options;
    const more = changes.length - AUDIT_CHANGES_MAX;
    const listed = changes
      .slice(0, AUDIT_CHANGES_MAX)
      .map(({ action, subject, before, after }) => ({
        action,
        subject: short(subject),
        before: short(before),
        after: short(after),
      }));
    if (more > 0) listed.push({ ...NOTHING, subject: `and ${more} changes more, see the log` });
    return { atMs: BigInt(now()), who, registry, changes: listed };
  }
}

/** Deleted at once; etcd takes 128 deletes and puts in a commit, a publish has up to 100. */
const PRUNED_MAX = 20;

const NOTHING = { action: 'cluster-changed' as const, before: '', after: '' };

/** Oldest first; with `follow`, then each as it is written, until aborted. */
export async function* followJournal(
  mirror: TableMirror,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<pb.AuditEntry, void> {
  let told = 0n;
  for (;;) {
    const rows = [...mirror.table.privateRows('audit').values()]
      .filter(({ entry }) => entry.revision > told)
      .sort((a, b) => (a.entry.revision < b.entry.revision ? -1 : 1));
    for (const { entry } of rows) {
      yield decodeEntry(entry.value);
      told = entry.revision;
    }
    if (!follow || signal.aborted || mirror.stopped) return;
    if (rows.length === 0) await mirror.changed(signal);
  }
}

/** An entry that cannot be read says so in its place: a journal has no holes. */
function decodeEntry(value: Uint8Array): pb.AuditEntry {
  try {
    return pb.AuditEntry.decode(value);
  } catch (error) {
    const change = { action: 'unreadable', subject: messageOf(error), before: '', after: '' };
    return { atMs: 0n, who: '', registry: '', changes: [change] };
  }
}

function short(text: string): string {
  return text.length > AUDIT_TEXT_CHARS_MAX ? `${text.slice(0, AUDIT_TEXT_CHARS_MAX)}…` : text;
}

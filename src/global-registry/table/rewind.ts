/**
 * Whether a store can be the continuation of the one seen before.
 *
 * A store restored from a backup, or another one put in its place, brings back what was withdrawn and
 * forgets what was added since, and nothing in it says so. So every registry process remembers on disk
 * how far it has seen the store, and one that has gone back is not followed: the table stays as it was
 * last known and writes are refused until an operator confirms what is there (`isthmus registry
 * unfreeze`), which counts up the epoch. A higher epoch than the one remembered is that confirmation.
 */

import type { StorePosition } from '../store/store.ts';

export interface StoreMark extends StorePosition {
  /** How often operators have confirmed a rewound store. */
  readonly epoch: number;
}

/** What went back, or undefined when nothing did. */
export function rewindOf(known: StoreMark | undefined, found: StoreMark): string | undefined {
  if (known === undefined || found.epoch > known.epoch) return undefined;
  if (found.storeId !== known.storeId) {
    return `store "${known.storeId}" has been replaced by "${found.storeId}"`;
  }
  if (found.epoch < known.epoch) {
    return `the store has gone back from epoch ${known.epoch} to ${found.epoch}`;
  }
  if (found.term < known.term) {
    return `the store has gone back from term ${known.term} to ${found.term}`;
  }
  if (found.revision < known.revision) {
    return `the store has gone back from revision ${known.revision} to ${found.revision}`;
  }
  return undefined;
}

/** The numbering that revisions are told to agents in: a new one for each confirmation. */
export function numberingOf({ storeId, epoch }: StoreMark): string {
  return epoch === 0 ? storeId : `${storeId}/${epoch}`;
}

/** Of the epoch key's value; 0 when there is none. */
export function parseEpoch(value: Uint8Array | undefined): number {
  const text = value === undefined ? '0' : Buffer.from(value).toString();
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
}

export function formatMark({ storeId, term, revision, epoch }: StoreMark): Uint8Array {
  return Buffer.from(JSON.stringify([storeId, String(term), String(revision), epoch]));
}

/** Throws for anything `formatMark` does not write. */
export function parseMark(content: Uint8Array): StoreMark {
  const [storeId, term, revision, epoch] = JSON.parse(Buffer.from(content).toString()) as [
    string,
    string,
    string,
    number,
  ];
  return { storeId, term: BigInt(term), revision: BigInt(revision), epoch };
}

/** What a person's file says twice or against itself: reported beside what is wrong with single values. */

import * as v from 'valibot';

export interface Contradiction {
  /** From the list on, joined with dots. */
  readonly path: string;
  readonly message: string;
  readonly found: string | number;
}

/** A step of a pipe, behind the schema of a list that is judged as a whole. */
export function withoutContradictions<T>(judge: (items: readonly T[]) => readonly Contradiction[]) {
  return v.rawCheck<T[]>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const { path, message, found } of judge(dataset.value)) {
      addIssue({ message, input: found, path: [pathItem(path)] });
    }
  });
}

/** valibot joins keys with dots, so one item may stand for a whole path. */
function pathItem(key: string): v.UnknownPathItem {
  return { type: 'unknown', origin: 'value', input: undefined, key, value: undefined };
}

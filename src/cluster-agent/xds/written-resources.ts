/** For resources that are listed whole each time: the list, and the end of those that are no longer in it. */

import type { ResourceChange } from './snapshot.ts';

export class WrittenResources {
  #written: readonly ResourceChange[] = [];

  changes(written: readonly ResourceChange[]): ResourceChange[] {
    const names = new Set(written.map(nameOf));
    const removed = this.#written.filter(each => !names.has(nameOf(each)));
    this.#written = written;
    return [...removed.map(each => ({ ...each, bytes: undefined })), ...written];
  }
}

function nameOf({ type, name }: ResourceChange): string {
  return `${type} ${name}`;
}

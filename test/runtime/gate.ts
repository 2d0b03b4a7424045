/** A promise that a test opens from outside. */

export class Gate<T = void> {
  readonly opened: Promise<T>;
  readonly open: (value: T) => void;

  constructor() {
    let resolveOpened: (value: T) => void = () => undefined;
    this.opened = new Promise(resolve => {
      resolveOpened = resolve;
    });
    this.open = value => resolveOpened(value);
  }
}

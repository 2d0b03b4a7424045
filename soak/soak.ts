/** What every soak is. */

export interface SoakOptions {
  readonly quick: boolean;
  /** The last line of output is one JSON object. */
  readonly json: boolean;
}

/** True when everything held. Ends early, with everything it started, on abort. */
export type Soak = (options: SoakOptions, signal: AbortSignal) => Promise<boolean>;

/** A line for whoever watches. */
export type Say = (line: string) => void;

/** One breach of a truth of `isthmus check`: who, why, and what to do about it. */

export interface Finding {
  /** Which process or cluster. */
  readonly subject: string;
  readonly cause: string;
  readonly next: string;
  /** It should be otherwise, but the truth holds. */
  readonly warning?: true;
}

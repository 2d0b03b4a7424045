/**
 * The arithmetic of the benchmark: percentiles of a run, medians over rounds, ratios between systems.
 *
 * Figures are flat: a name such as `rps`, or `cpuUsPerRequest.gateway` for one of several processes.
 * `nest` makes the objects that people read out of the dotted names.
 */

export type Figures = Readonly<Record<string, number>>;

/** Nearest rank: the smallest value that at least this share (0 to 1) of all values do not exceed. */
export function percentile(ascending: ArrayLike<number>, share: number): number {
  const rank = Math.ceil(share * ascending.length);
  return ascending[Math.min(Math.max(rank, 1), ascending.length) - 1] ?? Number.NaN;
}

/** Of requests, connections or handshakes. */
export function latencyFigures(latenciesMs: readonly number[]): Figures {
  const ascending = Float64Array.from(latenciesMs).sort();
  const us = (share: number): number => percentile(ascending, share) * 1000;
  return { p50Us: us(0.5), p99Us: us(0.99), p999Us: us(0.999), maxUs: us(1) };
}

/** NaN for no values; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b);
  const middle = ascending.length / 2;
  const upper = ascending[Math.floor(middle)] ?? Number.NaN;
  const lower = ascending[Math.ceil(middle) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The median of each figure over the rounds that have it. */
export function medianFigures(rounds: readonly Figures[]): Figures {
  const names = new Set(rounds.flatMap(round => Object.keys(round)));
  return Object.fromEntries(
    [...names].map(name => [name, median(rounds.flatMap(round => round[name] ?? []))]),
  );
}

/** Ours over theirs, to three digits; undefined when it would say nothing. */
export function ratio(ours: number | undefined, theirs: number | undefined): number | undefined {
  if (ours === undefined || theirs === undefined || !(ours > 0) || !(theirs > 0)) return undefined;
  return Number((ours / theirs).toPrecision(3));
}

/** `{'a.b': 1, 'a.c': 2}` becomes `{a: {b: 1, c: 2}}`; a name is a figure or a group, never both. */
export function nest(figures: Figures): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(figures)) {
    const groups = name.split('.');
    const last = groups.pop() ?? name;
    let group = root;
    for (const key of groups) group = (group[key] ??= {}) as Record<string, unknown>;
    group[last] = value;
  }
  return root;
}

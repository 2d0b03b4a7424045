/**
 * What a benchmark says in the end: one result for each scenario and system, and ours over theirs.
 *
 * A result that failed keeps its reason and gives no ratio: a fast system that loses requests has not won.
 */

import { type Figures, nest, ratio } from './figures.ts';

/** Ours; every other system is compared with it. */
export const OURS = 'isthmus';
/** Load without any proxy: the floor that added latency is counted from. */
export const DIRECT = 'direct';

export interface Result {
  readonly path: string;
  readonly scenario: string;
  readonly system: string;
  readonly connections: number;
  readonly figures: Figures;
  /** Why this result must not be used. */
  readonly failure?: string;
}

/** A ratio is named after what is compared: `rps50` of figure `rps` becomes `rps50.<system>`. */
export interface RatioRule {
  readonly name: string;
  readonly figure: string;
  /** Which way a ratio above 1 reads. */
  readonly better: 'higher' | 'lower';
}

export type Ratios = Readonly<Record<string, number>>;

/** `results` of one scenario. */
export function ratiosOf(results: readonly Result[], rules: readonly RatioRule[]): Ratios {
  const ours = results.find(result => result.system === OURS && result.failure === undefined);
  const ratios: Record<string, number> = {};
  for (const { name, figure } of rules) {
    for (const theirs of results) {
      if (theirs === ours || theirs.system === DIRECT || theirs.failure !== undefined) continue;
      const value = ratio(ours?.figures[figure], theirs.figures[figure]);
      if (value !== undefined) ratios[`${name}.${theirs.system}`] = value;
    }
  }
  return ratios;
}

/** Adds `added<Figure>` to each system: its figure less that of the direct run. Needs a direct run. */
export function withAdded(results: readonly Result[], figure: string): Result[] {
  const floor = results.find(result => result.system === DIRECT)?.figures[figure];
  const added = `added${figure.charAt(0).toUpperCase()}${figure.slice(1)}`;
  return results.map(result => {
    const value = result.figures[figure];
    if (floor === undefined || value === undefined || result.system === DIRECT) return result;
    return { ...result, figures: { ...result.figures, [added]: value - floor } };
  });
}

/** The object that `--json` prints. */
export function toJson(results: readonly Result[], ratios: Ratios): unknown {
  return {
    results: results.map(({ path, scenario, system, connections, figures, failure }) => ({
      path,
      scenario,
      system,
      connections,
      ...nest(roundFigures(figures)),
      ...(failure === undefined ? {} : { failure }),
    })),
    ratios,
  };
}

function roundFigures(figures: Figures): Figures {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number(value.toFixed(2))]),
  );
}

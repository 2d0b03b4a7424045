/** Clusters that the configuration names and nobody has started, such as the demo's third: no failure. */

import { style } from './text.ts';

/** Those that should answer, and those that nobody who answers has ever heard of. */
export function sortSilent<S extends { readonly cluster: string; readonly trustDomain: string }>(
  silent: readonly S[],
  heardOf: readonly string[],
): { readonly missed: readonly S[]; readonly notRunning: readonly string[] } {
  const isMissed = (each: S): boolean => heardOf.length === 0 || heardOf.includes(each.trustDomain);
  return {
    missed: silent.filter(isMissed),
    notRunning: silent.filter(each => !isMissed(each)).map(({ cluster }) => cluster),
  };
}

/** A line of its own, or nothing. */
export function formatNotRunning(clusters: readonly string[]): string {
  if (clusters.length === 0) return '';
  return style(`Configured but not running: ${clusters.join(', ')}\n`, 'dim');
}

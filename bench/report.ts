/** The benchmark for people: one table for each scenario, then ours over theirs, then how noisy it was. */

import { table } from '../src/cli/text.ts';
import type { RatioRule, Ratios, Result } from './results.ts';
import type { Column, Scenario } from './scenario.ts';

/** Strangers that used more of a CPU than this make a figure doubtful. */
const NOISE_PERCENT_MAX = 10;

export function formatScenario(scenario: Scenario, results: readonly Result[]): string {
  const { columns } = scenario;
  const headings = ['SYSTEM', ...columns.map(column => column.heading)];
  const rows = results.map(result => [
    result.system,
    ...columns.map(column => formatFigure(result, column)),
  ]);
  const failed = results.flatMap(({ system, failure }) =>
    failure === undefined ? [] : [`FAILED ${system}: ${failure}`],
  );
  return [`\n${scenario.title}`, alignedTable(headings, rows), ...failed].join('\n');
}

export function formatRatios(ratios: Ratios, rules: readonly RatioRule[]): string {
  const rows = Object.entries(ratios).map(([name, value]) => {
    const rule = rules.find(candidate => candidate.name === name.slice(0, name.indexOf('.')));
    return [name, value.toFixed(2), rule === undefined ? '' : `${rule.better} is better`];
  });
  if (rows.length === 0) return '\nNo ratios: ours and a peer must both have run without an error.';
  return `\nOurs over theirs\n${table(['RATIO', 'VALUE', ''], rows)}`;
}

/** What a reader must know of the machine while this was measured. */
export function formatNoise(results: readonly Result[]): string {
  const percents = results.flatMap(({ figures }) => figures['foreignPercent'] ?? []);
  if (percents.length === 0) return '';
  const most = Math.max(...percents);
  const verdict =
    most > NOISE_PERCENT_MAX
      ? `NOISY: over ${NOISE_PERCENT_MAX} % these figures are not to be quoted`
      : 'quiet enough';
  return `Other processes used up to ${most.toFixed(1)} % of one CPU (median of a result's rounds): ${verdict}.`;
}

function formatFigure({ figures }: Result, { figure, digits = 0 }: Column): string {
  const value = figures[figure];
  return value === undefined ? '-' : value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** Figures end under the end of their heading. */
function alignedTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map(row => row[column]?.length ?? 0)),
  );
  const align = (line: readonly string[]): string[] =>
    line.map((cell, column) => (column === 0 ? cell : cell.padStart(widths[column] ?? 0)));
  return table(align(headings), rows.map(align));
}

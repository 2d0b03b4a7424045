/** A rollover's status as people and programs read it. */

import type {
  RolloverProgress,
  RolloverStatus,
} from '../wire/generated/isthmus/operator/v1/rollover.ts';
import { formatClock, formatDuration, style, table } from './text.ts';

export function formatRollover(cluster: string, status: RolloverStatus, nowMs: number): string {
  const { rollover } = status;
  const roots = table(
    ['ROOT', 'STATE', 'SINCE', 'EXPIRES'],
    status.roots.map(({ sha256, state, sinceMs, notAfterMs }) => [
      sha256.slice(0, 16),
      state,
      formatClock(Number(sinceMs)),
      new Date(Number(notAfterMs)).toISOString().slice(0, 10),
    ]),
  );
  const story = rollover === undefined ? ['no rollover so far'] : storyOf(cluster, rollover, nowMs);
  return `${[roots, '', ...story].join('\n')}\n`;
}

/** Numbers for numbers: JSON has no bigint. */
export function rolloverJson(cluster: string, { roots, rollover }: RolloverStatus): unknown {
  return {
    cluster,
    roots: roots.map(root => ({
      ...root,
      sinceMs: Number(root.sinceMs),
      notAfterMs: Number(root.notAfterMs),
    })),
    ...(rollover === undefined
      ? {}
      : {
          rollover: {
            ...rollover,
            sinceMs: Number(rollover.sinceMs),
            history: rollover.history.map(entry => ({ ...entry, atMs: Number(entry.atMs) })),
            lacking: rollover.lacking.map(each => ({ ...each, sinceMs: Number(each.sinceMs) })),
          },
        }),
  };
}

function storyOf(cluster: string, rollover: RolloverProgress, nowMs: number): string[] {
  const { from, to, step, history, nextStep, condition, progress, lacking } = rollover;
  const proven = lacking.length === 0;
  const wait = proven ? style('proven', 'green') : style('not proven yet', 'yellow');
  return [
    `${cluster}: from ${from.slice(0, 16)} to ${to.slice(0, 16)}, at step ${style(step, 'bold')}`,
    ...history.map(
      ({ step: taken, atMs, reason, unproven }) =>
        `  ${formatClock(Number(atMs))}  ${taken}${unproven === '' ? '' : `  without proof (${unproven}): ${reason}`}`,
    ),
    nextStep === ''
      ? `complete when ${condition}: ${wait}`
      : `next "${nextStep}" when ${condition}: ${wait}`,
    ...progress.map(({ cluster: name, have, of }) => `  ${name} ${have}/${of}`),
    ...lacking.map(
      ({ cluster: where, proxy, lacks, sinceMs }) =>
        `  ${style(`${where}/${proxy}`, 'yellow')} ${lacks}${sinceOf(Number(sinceMs), nowMs)}`,
    ),
    ...(nextStep === '' || rollover.auto
      ? []
      : [proven ? `go on with: isthmus trust rollover advance ${cluster}` : 'ask again later']),
  ];
}

function sinceOf(sinceMs: number, nowMs: number): string {
  return sinceMs === 0 || sinceMs > nowMs
    ? ''
    : ` (since ${formatClock(sinceMs)}, ${formatDuration(nowMs - sinceMs)})`;
}

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
  const story =
    rollover === undefined
      ? [`no rollover so far; start one with: isthmus trust rollover start ${cluster}`]
      : storyOf(cluster, rollover, nowMs);
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
    ...history.map(entry => `  ${formatClock(Number(entry.atMs))}  ${entryText(entry)}`),
    nextStep === ''
      ? `over when ${condition}: ${wait}`
      : `next "${nextStep}" when ${condition}: ${wait}`,
    ...progress.map(({ cluster: name, have, of }) => `  ${name} ${have}/${of}`),
    ...lacking.map(
      ({ cluster: where, proxy, lacks, sinceMs }) =>
        `  ${style(`${where}/${proxy}`, 'yellow')} ${lacks}${sinceOf(Number(sinceMs), nowMs)}`,
    ),
    ...hintOf(cluster, rollover),
  ];
}

function entryText({ step, reason, unproven }: RolloverProgress['history'][number]): string {
  if (step === 'aborted') return `${unproven}: ${reason}`;
  return unproven === '' ? step : `${step}  without proof (${unproven}): ${reason}`;
}

function hintOf(cluster: string, { nextStep, auto, lacking }: RolloverProgress): string[] {
  const again = `isthmus trust rollover status ${cluster}`;
  if (nextStep === '') return lacking.length === 0 ? [] : [`ask again with: ${again}`];
  if (auto) return [`it goes on by itself; watch it with: ${again}`];
  return lacking.length === 0
    ? [`go on with: isthmus trust rollover advance ${cluster}`]
    : [`ask again with: ${again}; if a laggard stays, see docs/rollover.md`];
}

function sinceOf(sinceMs: number, nowMs: number): string {
  return sinceMs === 0 || sinceMs > nowMs
    ? ''
    : ` (since ${formatClock(sinceMs)}, ${formatDuration(nowMs - sinceMs)})`;
}

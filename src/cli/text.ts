/** How the command line looks: columns, colours only on a terminal, ages and durations in words. */

const COLOURS = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1, dim: 2 } as const;
export type Style = keyof typeof COLOURS;

/** Honours NO_COLOR (https://no-color.org) and FORCE_COLOR. */
function colourful(stream: NodeJS.WriteStream = process.stdout): boolean {
  if (process.env['NO_COLOR']) return false;
  if (process.env['FORCE_COLOR']) return true;
  return stream.isTTY;
}

export function style(text: string, how: Style): string {
  return colourful() ? `\u001b[${COLOURS[how]}m${text}\u001b[0m` : text;
}

/** Rows under headings, columns two spaces apart, as kubectl prints them. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...lines.map(line => visibleLength(line[column] ?? ''))),
  );
  return lines
    .map(line =>
      line
        .map((cell, column) =>
          column === line.length - 1
            ? cell
            : cell + ' '.repeat((widths[column] ?? 0) - visibleLength(cell) + 2),
        )
        .join('')
        .trimEnd(),
    )
    .join('\n');
}

/** `850ms`, `34s`, `5m12s`, `3h07m`, `2d4h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(seconds % 60).padStart(2, '0')}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${String(minutes % 60).padStart(2, '0')}m`;
  return `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** `12:01:07`, local time. */
export function formatClock(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 8);
}

function visibleLength(text: string): number {
  return text.replaceAll(/\u001b\[[0-9]+m/g, '').length;
}

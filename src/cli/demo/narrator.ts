/**
 * How the story is told: for people as indented lines, for programs as one JSON line a step.
 *
 * A step holds when each of its checks held; a check always says what was found, so a reader need not
 * trust the adjective.
 */

import { formatDuration, style } from '../text.ts';

export interface Check {
  readonly name: string;
  readonly held: boolean;
  readonly found: string;
}

export interface StepReport {
  readonly step: number;
  readonly title: string;
  readonly held: boolean;
  readonly durationMs: number;
  readonly checks: readonly Check[];
  readonly evidence: Readonly<Record<string, unknown>>;
}

export class Narrator {
  readonly #json: boolean;
  readonly #write: (text: string) => void;
  #checks: Check[] = [];
  #evidence: Record<string, unknown> = {};

  constructor(
    json: boolean,
    write: (text: string) => void = text => void process.stdout.write(text),
  ) {
    this.#json = json;
    this.#write = write;
  }

  /** A line for people only. */
  say(line = ''): void {
    if (!this.#json) this.#write(`${line}\n`);
  }

  /** A figure or fact of the current step. */
  show(label: string, value: string, key: string, evidence: unknown = value): void {
    this.#evidence[key] = evidence;
    this.say(`   ${style(label.padEnd(26), 'dim')} ${value}`);
  }

  check(name: string, held: boolean, found: string): void {
    this.#checks.push({ name, held, found });
    const mark = held ? style('✓', 'green') : style('✗', 'red');
    this.say(`   ${mark} ${name}${found === '' ? '' : style(`  (${found})`, 'dim')}`);
  }

  /** Runs one step; what it throws is a check that did not hold. */
  async step(number: number, title: string, run: () => Promise<void>): Promise<StepReport> {
    this.#checks = [];
    this.#evidence = {};
    this.say(`\n${style(`${number}. ${title}`, 'bold')}`);
    const started = performance.now();
    try {
      await run();
    } catch (error) {
      this.check(
        'the step ran to its end',
        false,
        error instanceof Error ? error.message : String(error),
      );
    }
    const report: StepReport = {
      step: number,
      title,
      held: this.#checks.length > 0 && this.#checks.every(check => check.held),
      durationMs: Math.round(performance.now() - started),
      checks: this.#checks,
      evidence: this.#evidence,
    };
    if (this.#json) this.#write(`${JSON.stringify(report)}\n`);
    else this.say(style(`   ${formatDuration(report.durationMs)}`, 'dim'));
    return report;
  }
}

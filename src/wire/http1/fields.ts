/**
 * The end-to-end fields of a message: where they lie in the text of its head, so that a string is made
 * only of what somebody asks for, and lines that go on unchanged go on together.
 *
 * Made by the parsers, or by `fieldsOf`; both have checked that every name is a token and no value
 * holds CR, LF or NUL. Names match in any case and keep the case they came in.
 */

import assert from 'node:assert';
import { FieldNames, isName } from './field-names.ts';
import { isFieldValue, isToken } from './octets.ts';

/** Numbers per field: start of name, end of name, start of value, end of value, and 1 if the line is
 * written as we would: one space after the colon, none behind the value. */
export const SPAN = 5;

/**
 * Fields that are never among `Fields`: those the model says in other words, and those that are for
 * one hop (RFC 9110 §7.6.1). `Proxy` itself is read by nobody honest: CGI turns it into HTTP_PROXY
 * (CVE-2016-5385).
 */
export const ROLES = new FieldNames({
  host: 'host',
  'content-length': 'content-length',
  'transfer-encoding': 'transfer-encoding',
  connection: 'connection',
  upgrade: 'upgrade',
  expect: 'expect',
  'http2-settings': 'hop-by-hop',
  'keep-alive': 'hop-by-hop',
  proxy: 'hop-by-hop',
  'proxy-authenticate': 'hop-by-hop',
  'proxy-authentication-info': 'hop-by-hop',
  'proxy-authorization': 'hop-by-hop',
  'proxy-connection': 'hop-by-hop',
  te: 'hop-by-hop',
} as const);

export class Fields {
  readonly #text: string;
  readonly #spans: readonly number[];

  constructor(text: string, spans: readonly number[]) {
    this.#text = text;
    this.#spans = spans;
  }

  get count(): number {
    return this.#spans.length / SPAN;
  }

  /** The first field of this lower-case name; a rule that must see every one asks `all`. */
  first(name: string): string | undefined {
    for (let span = 0; span < this.#spans.length; span += SPAN) {
      if (this.#isNamed(name, span)) return this.#value(span);
    }
    return undefined;
  }

  /** The values of every field of this lower-case name, one a line, in order. */
  all(name: string): readonly string[] {
    const values: string[] = [];
    for (let span = 0; span < this.#spans.length; span += SPAN) {
      if (this.#isNamed(name, span)) values.push(this.#value(span));
    }
    return values;
  }

  /** Name, value, name, value, …: names in lower case. */
  flat(): readonly string[] {
    const flat: string[] = [];
    for (let span = 0; span < this.#spans.length; span += SPAN) {
      flat.push(this.#name(span).toLowerCase(), this.#value(span));
    }
    return flat;
  }

  without(names: { has(name: string): boolean }): Fields {
    const spans: number[] = [];
    for (let span = 0; span < this.#spans.length; span += SPAN) {
      if (names.has(this.#name(span).toLowerCase())) continue;
      spans.push(...this.#spans.slice(span, span + SPAN));
    }
    return new Fields(this.#text, spans);
  }

  /** Field lines as they go to the next hop, each with its CRLF. */
  lines(dropped: FieldNames<unknown> | undefined): string {
    const spans = this.#spans;
    const text = this.#text;
    let lines = '';
    let runStart = 0;
    let runEnd = 0;
    for (let span = 0; span < spans.length; span += SPAN) {
      const start = spans[span] as number;
      if (dropped?.find(text, start, spans[span + 1] as number) !== undefined) continue;
      if (spans[span + 4] === 0) {
        lines += `${text.slice(runStart, runEnd)}${this.#name(span)}: ${this.#value(span)}\r\n`;
        runStart = runEnd;
        continue;
      }
      if (start !== runEnd) {
        lines += text.slice(runStart, runEnd);
        runStart = start;
      }
      runEnd = (spans[span + 3] as number) + 2;
    }
    return lines + text.slice(runStart, runEnd);
  }

  #isNamed(name: string, span: number): boolean {
    return isName(name, this.#text, this.#spans[span] as number, this.#spans[span + 1] as number);
  }

  #name(span: number): string {
    return this.#text.slice(this.#spans[span], this.#spans[span + 1]);
  }

  #value(span: number): string {
    return this.#text.slice(this.#spans[span + 2], this.#spans[span + 3]);
  }
}

/** Of names and values that no parser has checked. Asserts that they are end-to-end fields: a CR would
 * be a second message, a second length another end. */
export function fieldsOf(flat: readonly string[]): Fields {
  let text = '';
  const spans: number[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] as string;
    const value = flat[i + 1] ?? '';
    const endToEnd = isToken(name) && ROLES.find(name, 0, name.length) === undefined;
    if (!endToEnd) assert.fail(`${JSON.stringify(name)} is no end-to-end field name`);
    if (!isFieldValue(value)) assert.fail(`${JSON.stringify(value)} is no field value`);
    const nameEnd = text.length + name.length;
    spans.push(text.length, nameEnd, nameEnd + 2, nameEnd + 2 + value.length, 1);
    text += `${name}: ${value}\r\n`;
  }
  return new Fields(text, spans);
}

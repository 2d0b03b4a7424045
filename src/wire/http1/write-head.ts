/**
 * Heads for the next hop, written from the model: HTTP/1.1, exactly one framing, nothing that was
 * meant for the hop before.
 *
 * Bytes a peer sent reach the next hop only as values that a parser has checked and as names that are
 * tokens, so the receiver finds exactly one message in what is written here.
 * Returns a string of latin1 characters, one per byte, so that the caller knows its size and can write
 * it between frames or before a body without a copy.
 */

import assert from 'node:assert';
import type { FieldNames } from './field-names.ts';
import type { Fields } from './fields.ts';
import type { Framing } from './framing.ts';
import { isFieldValue } from './octets.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

export interface HeadEdits {
  /** Fields of the head that do not go on. */
  readonly drop?: FieldNames<unknown> | undefined;
  /** Written behind those of the head. What is the same for many heads is made once (`fieldsOf`). */
  readonly add?: readonly Fields[] | undefined;
  /** What the next hop is told about the connection when it is not switching protocols. */
  readonly connection?: 'close' | 'keep-alive' | undefined;
}

export interface ResponseEdits extends HeadEdits {
  /** For a client that cannot read the head's own: HTTP/1.0 and chunked. */
  readonly framing?: Framing | undefined;
}

const NOTHING: readonly Fields[] = [];

export function writeRequestHead(head: RequestHead, edits: HeadEdits = {}): string {
  const { path } = head.target;
  let text = `${checked(head.method)} ${checked(path)} HTTP/1.1\r\nhost: ${checked(head.host)}\r\n`;
  text += framingLine(head.framing);
  if (head.expectContinue) text += 'expect: 100-continue\r\n';
  text += connectionLines(head.upgrade, edits.connection);
  return `${text}${fieldLines(head.fields, edits)}\r\n`;
}

export function writeResponseHead(head: ResponseHead, edits: ResponseEdits = {}): string {
  let text = `HTTP/1.1 ${head.status} ${checked(head.reason)}\r\n`;
  text += framingLine(
    head.framing.kind === 'none' ? head.framing : (edits.framing ?? head.framing),
  );
  if (head.declaredBytes !== undefined) text += `content-length: ${head.declaredBytes}\r\n`;
  text += connectionLines(head.upgrade, edits.connection);
  return `${text}${fieldLines(head.fields, edits)}\r\n`;
}

/** A head need not come from a parser, and of its parts only the fields are of a type that was checked.
 * Asserts before the head is put together: the same test on the whole took four times as long. */
function checked(text: string): string {
  if (!isFieldValue(text)) assert.fail(`${JSON.stringify(text)} does not fit on a line of a head`);
  return text;
}

function framingLine(framing: Framing): string {
  if (framing.kind === 'length') return `content-length: ${framing.bytes}\r\n`;
  return framing.kind === 'chunked' ? 'transfer-encoding: chunked\r\n' : '';
}

function connectionLines(upgrade: string | undefined, connection: HeadEdits['connection']): string {
  if (upgrade !== undefined) return `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  return connection === undefined ? '' : `connection: ${connection}\r\n`;
}

function fieldLines(fields: Fields, { drop, add = NOTHING }: HeadEdits): string {
  let lines = fields.lines(drop);
  for (const added of add) lines += added.lines(undefined);
  return lines;
}

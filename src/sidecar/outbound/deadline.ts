/**
 * How long a request may take to be answered. The application says so (Envoy's fields), or what is left of
 * the call it is serving says so for it, or its service's policy does. Pure.
 *
 * The time counts to the head of the answer, from when the request has been sent: a body of any length
 * may take as long as it takes, in both directions.
 */

import { type Fields, fieldsOf } from '../../wire/http1/fields.ts';
import type { HeadEdits } from '../../wire/http1/write-head.ts';
import { EXPECTED_TIMEOUT_FIELD, OUTBOUND_FIELDS, TIMEOUT_FIELD } from '../http/mesh-fields.ts';
import { TIMEOUT_MS_MAX } from '../limits.ts';

/** The smaller of what the two fields say; undefined when neither says anything that can be read. */
export function askedTimeoutMs(fields: Fields): number | undefined {
  const own = parseMs(fields.first(TIMEOUT_FIELD));
  const left = parseMs(fields.first(EXPECTED_TIMEOUT_FIELD));
  return own === undefined || left === undefined ? (own ?? left) : Math.min(own, left);
}

/** Whoever asked for a deadline has it carried on; others are told nothing new. */
export function deadlineEdits(leftMs: number | undefined): HeadEdits {
  if (leftMs === undefined) return PLAIN;
  const left = String(Math.max(1, Math.ceil(leftMs)));
  return { drop: OUTBOUND_FIELDS, add: [fieldsOf([EXPECTED_TIMEOUT_FIELD, left])] };
}

const PLAIN: HeadEdits = { drop: OUTBOUND_FIELDS };

/** As Envoy, which takes what it cannot read for nothing said; and 0 for no time limit of its own. */
function parseMs(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) return undefined;
  const ms = Number(text);
  return ms === 0 ? undefined : Math.min(ms, TIMEOUT_MS_MAX);
}

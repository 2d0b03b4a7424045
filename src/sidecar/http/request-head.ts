/**
 * What the mesh accepts as the head of an HTTP/1.1 request, and what of it goes to the next hop.
 *
 * node:http's parser has taken the bytes apart; this is the strictness it lacks (THREATS M9) and the
 * one place where fields are dropped. Anything two readers could understand differently is refused.
 * Pure: the next hop gets a head built from what is returned here, never what the client sent.
 */

import { HEADER_FIELDS_MAX } from '../limits.ts';
import { endToEnd, type Fields, type FlatFields, pairs, withoutMeshFields } from './fields.ts';

export interface RawRequestHead {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  /** Name, value, name, value, … in the order and case they came. */
  readonly rawHeaders: FlatFields;
}

export interface RequestHead {
  readonly method: string;
  /** Origin form, or `*`. */
  readonly target: string;
  /** Lower case, without a trailing dot; with the port when one was given. */
  readonly authority: string;
  /** End-to-end fields only, without Host and framing. */
  readonly fields: Fields;
  readonly body:
    | { readonly kind: 'none' | 'chunked' }
    | { readonly kind: 'length'; readonly bytes: string };
  /** The protocol asked for; then there is no body. */
  readonly upgrade: string | undefined;
  /** The client asked to be told how its request was routed (`x-isthmus-explain: 1`). */
  readonly explain: boolean;
}

export type CheckedHead =
  | { readonly kind: 'ok'; readonly head: RequestHead }
  | {
      readonly kind: 'refused';
      readonly code: 'bad-request' | 'too-many-fields';
      readonly why: string;
    };

const ABSOLUTE_FORM = /^http:\/\/([^/?#]*)([/?].*)?$/i;
/** RFC 9112 §3.2: visible ASCII; "#" is not part of a target and "\" is a "/" to some readers. */
const TARGET = /^(?:\/[!"$-[\]-~]*|\*)$/;
const AUTHORITY = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+?)\.?(?::([1-9][0-9]{0,4}))?$/;
/** RFC 9110 §8.6: of other methods a missing body is stated. */
const BODILESS_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'TRACE',
]);
const CONTENT_LENGTH = /^(?:0|[1-9][0-9]{0,14})$/;

export function checkRequestHead(raw: RawRequestHead): CheckedHead {
  if (raw.rawHeaders.length / 2 > HEADER_FIELDS_MAX) {
    return refused(`more than ${HEADER_FIELDS_MAX} header fields`, 'too-many-fields');
  }
  const fields = pairs(raw.rawHeaders);
  const all = (name: string): readonly string[] =>
    fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);

  const hosts = all('host');
  if (hosts.length > 1) return refused('more than one Host field');
  const absolute = ABSOLUTE_FORM.exec(raw.target);
  // RFC 9112 §3.2.2: the absolute form wins over Host.
  const authority = canonicalAuthority(absolute?.[1] ?? hosts[0] ?? '');
  if (authority === undefined || (hosts[0] !== undefined && !AUTHORITY.test(hosts[0]))) {
    return refused('Host is missing or is not a host with an optional port');
  }
  const target = absolute === null ? raw.target : originForm(absolute[2] ?? '');
  if (!TARGET.test(target) || (target === '*' && raw.method !== 'OPTIONS')) {
    return refused('request target is neither a path nor an http:// URL');
  }

  const [length, ...otherLengths] = all('content-length');
  const encodings = all('transfer-encoding');
  if (otherLengths.length > 0 || (length !== undefined && !CONTENT_LENGTH.test(length))) {
    return refused('Content-Length is not one plain decimal number');
  }
  if (encodings.length > 0) {
    if (encodings.length > 1 || encodings[0]?.toLowerCase() !== 'chunked') {
      return refused('Transfer-Encoding is not exactly "chunked"');
    }
    if (length !== undefined) return refused('both Content-Length and Transfer-Encoding');
    // RFC 9112 §6.1: faulty by definition in an HTTP/1.0 message.
    if (raw.httpVersion !== '1.1') return refused('Transfer-Encoding in an HTTP/1.0 request');
  }
  const upgrade = protocolsAskedFor(all('connection'), all('upgrade'));
  if (upgrade.length > 0 && (encodings.length > 0 || (length !== undefined && length !== '0'))) {
    return refused('an upgrade request with a body');
  }
  return {
    kind: 'ok',
    head: {
      method: raw.method,
      target,
      authority,
      fields: withoutMeshFields(endToEnd(fields, ['host'])),
      body:
        encodings.length > 0
          ? { kind: 'chunked' }
          : length === undefined
            ? { kind: 'none' }
            : { kind: 'length', bytes: length },
      // Not offered: a request that asks for it goes on without it (RFC 9110 §7.8).
      upgrade: upgrade.find(protocol => protocol.toLowerCase() !== 'h2c'),
      explain: all('x-isthmus-explain')[0] === '1',
    },
  };
}

/** Fields for the next hop: Host and framing from the model, then the client's own, then ours. */
export function nextHopFields(head: RequestHead, added: Fields): FlatFields {
  const framing: Fields =
    head.body.kind === 'chunked'
      ? [['Transfer-Encoding', 'chunked']]
      : head.body.kind === 'length'
        ? [['Content-Length', head.body.bytes]]
        : BODILESS_METHODS.has(head.method)
          ? []
          : [['Content-Length', '0']];
  const connection: Fields =
    head.upgrade === undefined
      ? [['Connection', 'close']]
      : [
          ['Connection', 'Upgrade'],
          ['Upgrade', head.upgrade],
        ];
  return [
    ['Host', head.authority] as const,
    ...framing,
    ...connection,
    ...head.fields,
    ...added,
  ].flat();
}

/** Empty unless Connection says that Upgrade is meant for this hop. */
function protocolsAskedFor(
  connection: readonly string[],
  upgrade: readonly string[],
): readonly string[] {
  return tokens(connection).some(token => token.toLowerCase() === 'upgrade') ? tokens(upgrade) : [];
}

function tokens(values: readonly string[]): readonly string[] {
  return values.flatMap(value => value.split(',').map(token => token.trim()));
}

function canonicalAuthority(text: string): string | undefined {
  const match = AUTHORITY.exec(text);
  if (match?.[1] === undefined || Number(match[2] ?? 0) > 65535) return undefined;
  return `${match[1].toLowerCase()}${match[2] === undefined ? '' : `:${match[2]}`}`;
}

function originForm(rest: string): string {
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function refused(
  why: string,
  code: Extract<CheckedHead, { kind: 'refused' }>['code'] = 'bad-request',
): CheckedHead {
  return { kind: 'refused', code, why };
}

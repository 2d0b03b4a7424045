/** What Connection and Upgrade say about this hop (RFC 9110 §7.6.1, §7.8). */

import { isToken } from './octets.ts';

export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Lower-case names of fields that are for this hop only, beside those that always are. */
  readonly named: ReadonlySet<string>;
}

/** Of a message without the field. */
export const NO_OPTIONS: ConnectionOptions = {
  close: false,
  keepAlive: false,
  upgrade: false,
  named: new Set(),
};
const KEEP_ALIVE: ConnectionOptions = { ...NO_OPTIONS, keepAlive: true };
const CLOSE: ConnectionOptions = { ...NO_OPTIONS, close: true };
const PROTOCOL = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/;

/** Undefined when it is not a list of tokens. */
export function connectionOptions(value: string | undefined): ConnectionOptions | undefined {
  if (value === undefined) return NO_OPTIONS;
  if (value === 'keep-alive') return KEEP_ALIVE;
  if (value === 'close') return CLOSE;
  const options = new Set(value.split(',').map(option => trimmed(option).toLowerCase()));
  // An empty list element is legal (RFC 9110 §5.6.1.2).
  options.delete('');
  for (const option of options) if (!isToken(option)) return undefined;
  return {
    close: options.delete('close'),
    keepAlive: options.delete('keep-alive'),
    upgrade: options.delete('upgrade'),
    named: options,
  };
}

/**
 * The one protocol asked for, lower case. A list, or h2c, is not offered on (a server may ignore
 * Upgrade): who relays an upgrade must know what the connection turned into.
 */
export function askedProtocol(
  options: ConnectionOptions,
  upgrade: string | undefined,
): string | undefined {
  if (!options.upgrade || upgrade === undefined) return undefined;
  const protocol = upgrade.toLowerCase();
  return protocol !== 'h2c' && PROTOCOL.test(protocol) ? protocol : undefined;
}

/** Of spaces and tabs alone: `trim` takes U+00A0 for white space, which another reader would not. */
function trimmed(element: string): string {
  let start = 0;
  let end = element.length;
  while (start < end && (element[start] === ' ' || element[start] === '\t')) start++;
  while (end > start && (element[end - 1] === ' ' || element[end - 1] === '\t')) end--;
  return element.slice(start, end);
}

/**
 * Request targets (RFC 9112 §3.2) and the hosts they are for, each read to one canonical form.
 *
 * The bytes have been checked by the head's scan: a target here is visible ASCII without `#` and `\`
 * and with whole percent escapes.
 */

export interface Target {
  readonly form: 'origin' | 'absolute' | 'asterisk';
  /** Begins with `/`, with the query if there is one; `*` in asterisk form. */
  readonly path: string;
  /** As sent; absolute form only. */
  readonly authority: string | undefined;
}

const ABSOLUTE = /^http:\/\/([^/?]*)/i;
const HOST = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::([1-9][0-9]{0,4}))?$/;
const HOST_BYTES_MAX = 255 + ':65535'.length;

/** Requests in a row are mostly for the same host; reading it is a tenth of a whole head. */
let lastText: string | undefined;
let lastHost: string | undefined;

export function parseTarget(text: string, method: string): Target | undefined {
  if (text.startsWith('/')) return { form: 'origin', path: text, authority: undefined };
  if (text === '*') {
    return method === 'OPTIONS' ? { form: 'asterisk', path: '*', authority: undefined } : undefined;
  }
  const absolute = ABSOLUTE.exec(text);
  if (absolute?.[1] === undefined) return undefined;
  const rest = text.slice(absolute[0].length);
  return {
    form: 'absolute',
    path: rest.startsWith('/') ? rest : `/${rest}`,
    authority: absolute[1],
  };
}

/**
 * `host[:port]` in lower case, without a trailing dot and without port 80, which is what no port means
 * (RFC 9110 §4.2.3). Undefined for anything else: an empty name, user information, port 0.
 */
export function canonicalHost(text: string): string | undefined {
  if (text !== lastText) {
    lastHost = readHost(text);
    lastText = text;
  }
  return lastHost;
}

function readHost(text: string): string | undefined {
  if (text.length > HOST_BYTES_MAX) return undefined;
  const match = HOST.exec(text.toLowerCase());
  const host = match?.[1];
  const port = match?.[2];
  if (host === undefined || Number(port ?? 0) > 65535) return undefined;
  return port === undefined || port === '80' ? host : `${host}:${port}`;
}

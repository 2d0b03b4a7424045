/**
 * How far an address carries. What means something else on every machine, or no machine at all, is no
 * place to send other clusters to.
 */

export type AddressScope =
  /** This machine, whichever it is. */
  | 'loopback'
  | 'link-local'
  /** Unspecified, broadcast or multicast: never one machine. */
  | 'nowhere'
  /** Looks like an IPv4 address, and is another one for every resolver: `127.1`, `0x7f000001`. */
  | 'ambiguous'
  | 'routable';

/** Of an IP address or a DNS name. */
export function addressScope(host: string): AddressScope {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost')) return 'loopback';
  if (name.includes(':')) return scopeOfV6(name);
  if (/^(?:[0-9.]+|0x[0-9a-f.x]*)$/.test(name)) return scopeOfV4(name);
  return 'routable';
}

function scopeOfV4(text: string): AddressScope {
  const parts = text.split('.');
  const strict = parts.length === 4 && parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part));
  const [a = 0, b = 0, ...rest] = parts.map(Number);
  if (!strict || [a, b, ...rest].some(part => part > 255)) return 'ambiguous';
  if (a === 127) return 'loopback';
  if (a === 169 && b === 254) return 'link-local';
  return a === 0 || a >= 224 ? 'nowhere' : 'routable';
}

function scopeOfV6(text: string): AddressScope {
  const mapped = /^(?:0*:)*:?(?:0*:)*ffff:([0-9.]+)$/.exec(text)?.[1];
  if (mapped !== undefined) return scopeOfV4(mapped);
  if (/^(?:0*:)+0*$/.test(text)) return 'nowhere';
  if (/^(?:0*:)+0*1$/.test(text)) return 'loopback';
  if (/^fe[89ab][0-9a-f]:/.test(text)) return 'link-local';
  return text.startsWith('ff') ? 'nowhere' : 'routable';
}

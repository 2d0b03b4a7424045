/** Header fields as ordered pairs, and which of them may travel to the next hop. Pure. */

export type Fields = readonly (readonly [name: string, value: string])[];
/** Name, value, name, value, …: node:http's raw form. */
export type FlatFields = readonly string[];

/** RFC 9110 §7.6.1, with the framing that each hop states anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export function pairs(flat: FlatFields): Fields {
  const fields: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) fields.push([flat[i] ?? '', flat[i + 1] ?? '']);
  return fields;
}

/** Without hop-by-hop fields, framing, those that Connection names, and `also`. */
export function endToEnd(fields: Fields, also: readonly string[] = []): Fields {
  const dropped = new Set([...HOP_BY_HOP, ...also]);
  for (const [name, value] of fields) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const token of value.split(',')) dropped.add(token.trim().toLowerCase());
  }
  return fields.filter(([name]) => !dropped.has(name.toLowerCase()));
}

/** Without what says who the caller is or how it was routed: only a sidecar may (THREATS AZ-10). */
export function withoutMeshFields(fields: Fields): Fields {
  return fields.filter(([name]) => {
    const lower = name.toLowerCase();
    return lower !== 'x-forwarded-client-cert' && !lower.startsWith('x-isthmus-');
  });
}

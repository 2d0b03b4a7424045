/** Socket addresses as users write them: `host:port`, IPv6 in brackets. */

import { MeshError } from './errors.ts';

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

const ADDRESS = /^(?:\[([0-9a-fA-F.]*:[0-9a-fA-F:.]*)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/;

/** Throws NAME_INVALID. Port 0 means "any free port" and is for tests. */
export function parseAddress(text: string): SocketAddress {
  const match = ADDRESS.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port <= 65535)) {
    throw new MeshError(
      'NAME_INVALID',
      `address ${JSON.stringify(text.slice(0, 200))} must be host:port, such as 127.0.0.1:15443 or [::1]:15443`,
    );
  }
  return { host, port };
}

export function formatAddress(address: SocketAddress): string {
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

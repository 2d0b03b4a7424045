/**
 * Which addresses a cluster may tell the others to connect to.
 *
 * Loopback means another machine to every reader, and would turn their callers on themselves. Only a
 * cluster all of whose gateways are on loopback says of itself that it shares one machine with whoever
 * is to reach it, as in the demo.
 */

import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { type AddressScope, addressScope } from '../../mesh/address-scope.ts';
import { MeshError } from '../../mesh/errors.ts';

const WHY: Readonly<Record<Exclude<AddressScope, 'routable'>, string>> = {
  loopback: 'is loopback, and not all gateways of its cluster are',
  'link-local': 'is link-local, which other networks cannot reach',
  nowhere: 'is no address of a machine',
  ambiguous: 'is not a dotted IPv4 address of four plain numbers',
};

/** Throws REQUEST_INVALID. */
export function checkAddress(address: SocketAddress, oneMachine: boolean, what: string): void {
  const scope = addressScope(address.host);
  if (scope === 'routable' || (scope === 'loopback' && oneMachine)) return;
  throw new MeshError(
    'REQUEST_INVALID',
    `${what} "${formatAddress(address)}" ${WHY[scope]}; use an address that the clusters of its network can reach`,
  );
}

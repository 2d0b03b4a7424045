/** Envoy addresses ↔ `SocketAddress`. */

import type { SocketAddress } from '../../mesh/address.ts';
import type { Address } from '../generated/envoy/config/core/v3/address.ts';
import { FieldError, required } from './resource.ts';

export function formatSocketAddress(address: SocketAddress): Address {
  return {
    address: {
      $case: 'socketAddress',
      value: {
        address: address.host,
        portSpecifier: { $case: 'portValue', value: address.port },
      },
    },
  };
}

export function readSocketAddress(address: Address | undefined, path: string): SocketAddress {
  const found = required(address?.address, `${path}.socket_address`).value;
  const port = required(found.portSpecifier, `${path}.socket_address.port_value`).value;
  if (port < 1 || port > 65535) {
    throw new FieldError(`${path}.socket_address.port_value`, `${port} is not a port`);
  }
  if (found.address === '') throw new FieldError(`${path}.socket_address.address`, 'missing');
  return { host: found.address, port };
}

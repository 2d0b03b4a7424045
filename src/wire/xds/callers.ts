/**
 * Who may call a port of a service, as Envoy says it: an RBAC filter that allows the SPIFFE IDs of some
 * trust domains, delivered by name and apart from its listener (ECDS). A policy that asks for more than
 * we judge by is refused, never half understood.
 */

import type { InboundName } from '../../mesh/callers.ts';
import { parseTrustDomain, type TrustDomain } from '../../mesh/spiffe-id.ts';
import { TypedExtensionConfig } from '../generated/envoy/config/core/v3/extension.ts';
import {
  type Policy,
  type Principal,
  RBAC_Action,
  RBAC as Rules,
} from '../generated/envoy/config/rbac/v3/rbac.ts';
import { RBAC } from '../generated/envoy/extensions/filters/network/rbac/v3/rbac.ts';
import { encodeMessage, FieldError, pack, parseResource, required, unpack } from './resource.ts';

export interface InboundCallers {
  readonly name: InboundName;
  readonly trustDomains: readonly TrustDomain[];
}

const RBAC_URL = 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC';
const POLICY = 'callers';

export function formatCallers({ name, trustDomains }: InboundCallers): Buffer {
  const policy: Policy = {
    permissions: [{ rule: { $case: 'any', value: true } }],
    principals: trustDomains.map(formatPrincipal),
  };
  const rules: Rules = { action: RBAC_Action.ALLOW, policies: { [POLICY]: policy } };
  return encodeMessage(TypedExtensionConfig, {
    name,
    typedConfig: pack(RBAC_URL, RBAC, { rules, statPrefix: name }),
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseCallers(bytes: Uint8Array): InboundCallers {
  return parseResource(
    'extension-config',
    TypedExtensionConfig,
    bytes,
    m => m.name,
    ({ name, typedConfig }) => {
      const { rules } = unpack(typedConfig, RBAC_URL, RBAC, 'typed_config');
      const path = 'typed_config.rules';
      const { action, policies } = required(rules, path);
      if (action !== RBAC_Action.ALLOW) throw new FieldError(`${path}.action`, 'must be ALLOW');
      const { [POLICY]: policy, ...more } = policies;
      if (policy === undefined || Object.keys(more).length > 0) {
        throw new FieldError(`${path}.policies`, `must be "${POLICY}" alone`);
      }
      const [permission, ...others] = policy.permissions;
      if (permission?.rule?.value !== true || others.length > 0) {
        throw new FieldError(`${path}.policies.${POLICY}.permissions`, 'must be any');
      }
      const trustDomains = policy.principals.map((principal, i) =>
        readPrincipal(principal, `${path}.policies.${POLICY}.principals[${i}]`),
      );
      return { name: name as InboundName, trustDomains };
    },
  );
}

function formatPrincipal(trustDomain: TrustDomain): Principal {
  const matchPattern = { $case: 'prefix' as const, value: `spiffe://${trustDomain}/` };
  return {
    identifier: { $case: 'authenticated', value: { principalName: { matchPattern } } },
  };
}

function readPrincipal(principal: Principal, path: string): TrustDomain {
  const field = `${path}.authenticated.principal_name.prefix`;
  const pattern = required(principal.identifier?.value.principalName?.matchPattern, field);
  const match = pattern.$case === 'prefix' ? /^spiffe:\/\/([^/]*)\/$/.exec(pattern.value) : null;
  if (match === null) throw new FieldError(field, 'must be all of one trust domain');
  return parseTrustDomain(match[1] ?? '');
}

/**
 * Trust bundles as one Envoy secret: a SPIFFE validator that knows the roots of every trust domain.
 *
 * Envoy reads a bundle as PEM. What else a bundle says (sequence, refresh hint, JWT keys, revoked
 * identities) stands as text before the first certificate, where RFC 7468 §2 allows explanations and every
 * PEM reader skips them.
 */

import { parseTrustDomain, requireSpiffeId } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { Secret } from '../generated/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { SPIFFECertValidatorConfig } from '../generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import { encodeMessage, FieldError, pack, parseResource, required, unpack } from './resource.ts';

/** Istio's name for it. */
export const BUNDLES_SECRET = 'ROOTCA';

const VALIDATOR = 'envoy.tls.cert_validator.spiffe';
const VALIDATOR_URL =
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';

export function formatBundles(bundles: Iterable<TrustBundle>): Buffer {
  const config: SPIFFECertValidatorConfig = {
    trustDomains: [...bundles].map(bundle => ({
      name: bundle.trustDomain,
      trustBundle: { specifier: { $case: 'inlineString', value: formatPem(bundle) } },
    })),
  };
  return encodeMessage(Secret, {
    name: BUNDLES_SECRET,
    type: {
      $case: 'validationContext',
      value: {
        matchTypedSubjectAltNames: [],
        customValidatorConfig: {
          name: VALIDATOR,
          typedConfig: pack(VALIDATOR_URL, SPIFFECertValidatorConfig, config),
        },
      },
    },
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseBundles(bytes: Uint8Array): TrustBundle[] {
  return parseResource(
    'secret',
    Secret,
    bytes,
    m => m.name,
    message => {
      const path = 'validation_context.custom_validator_config.typed_config';
      const config = unpack(
        message.type?.value.customValidatorConfig?.typedConfig,
        VALIDATOR_URL,
        SPIFFECertValidatorConfig,
        path,
      );
      const seen = new Set<string>();
      return config.trustDomains.map((entry, i) => {
        if (seen.has(entry.name)) {
          throw new FieldError(`${path}.trust_domains[${i}].name`, `"${entry.name}" stands twice`);
        }
        seen.add(entry.name);
        const pem = required(
          entry.trustBundle?.specifier,
          `${path}.trust_domains[${i}].trust_bundle.inline_string`,
        ).value;
        return parsePem(entry.name, pem, `${path}.trust_domains[${i}]`);
      });
    },
  );
}

function formatPem(bundle: TrustBundle): string {
  const certificates = bundle.x509Authorities.map(der => {
    const lines = base64(der).match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  });
  const preamble = [
    `sequence: ${bundle.sequence}`,
    `refresh-hint-seconds: ${bundle.refreshHintSeconds}`,
    ...bundle.jwtAuthorities.map(
      ({ keyId, spki }) => `jwt-authority: ${base64(Buffer.from(keyId))} ${base64(spki)}`,
    ),
    ...bundle.revoked.map(id => `revoked: ${id}`),
  ];
  return [...preamble.map(line => `${line}\n`), ...certificates].join('');
}

const PREAMBLE = /^sequence: ([0-9]{1,15})\nrefresh-hint-seconds: ([0-9]{1,15})\n/;
const JWT_AUTHORITY = /jwt-authority: ([A-Za-z0-9+/=]+) ([A-Za-z0-9+/=]+)\n/y;
const REVOKED = /revoked: (.+)\n/y;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]*)-----END CERTIFICATE-----\n/y;

function parsePem(trustDomain: string, pem: string, path: string): TrustBundle {
  const preamble = PREAMBLE.exec(pem);
  if (preamble === null) {
    throw new FieldError(`${path}.trust_bundle`, 'does not start with sequence and refresh hint');
  }
  let offset = preamble[0].length;
  const repeated = (pattern: RegExp): RegExpExecArray[] => {
    const found: RegExpExecArray[] = [];
    for (;;) {
      pattern.lastIndex = offset;
      const match = pattern.exec(pem);
      if (match === null) return found;
      found.push(match);
      offset = pattern.lastIndex;
    }
  };
  const jwtAuthorities = repeated(JWT_AUTHORITY).map(([, keyId = '', spki = '']) => ({
    keyId: Buffer.from(keyId, 'base64').toString(),
    spki: Buffer.from(spki, 'base64'),
  }));
  const revoked = repeated(REVOKED).map(([, id = '']) => requireSpiffeId(id));
  const x509Authorities = repeated(CERTIFICATE).map(([, der = '']) => Buffer.from(der, 'base64'));
  if (offset < pem.length) {
    throw new FieldError(`${path}.trust_bundle`, `no PEM certificate at offset ${offset}`);
  }
  return {
    trustDomain: parseTrustDomain(trustDomain),
    sequence: Number(preamble[1]),
    refreshHintSeconds: Number(preamble[2]),
    x509Authorities,
    jwtAuthorities,
    revoked,
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** The fields Envoy has no place for, under `filter_metadata["isthmus"]` of the message they belong to. */

import type { Metadata } from '../generated/envoy/config/core/v3/base.ts';
import { FieldError } from './resource.ts';

const NAMESPACE = 'isthmus';

export function formatMetadata(fields: Readonly<Record<string, string | number>>): Metadata {
  return { filterMetadata: { [NAMESPACE]: fields } };
}

/** Undefined where the field is not there; for fields that older agents do not write. */
export function metadataNumber(
  metadata: Metadata | undefined,
  path: string,
  field: string,
): number | undefined {
  const value: unknown = metadata?.filterMetadata[NAMESPACE]?.[field];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw new FieldError(`${path}.${NAMESPACE}.${field}`, 'must be a whole number');
}

/** Reads one field after another; `path` is where the metadata sits, for the error. */
export function metadataReader(
  metadata: Metadata | undefined,
  path: string,
): (field: string) => string {
  const fields: Readonly<Record<string, unknown>> = metadata?.filterMetadata[NAMESPACE] ?? {};
  return field => {
    const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (typeof value !== 'string' || value === '') {
      throw new FieldError(`${path}.${NAMESPACE}.${field}`, 'missing or not a string');
    }
    return value;
  };
}

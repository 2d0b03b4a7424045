/** The fields Envoy has no place for, under `filter_metadata["isthmus"]` of the message they belong to. */

import type { Metadata } from '../generated/envoy/config/core/v3/base.ts';
import { FieldError } from './resource.ts';

const NAMESPACE = 'isthmus';

export function formatMetadata(fields: Readonly<Record<string, string>>): Metadata {
  return { filterMetadata: { [NAMESPACE]: fields } };
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

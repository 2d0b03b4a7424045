/** The error a promise must reject with, for assertions on it. */

import { AssertionError } from 'chai';
import { type ErrorCode, isMeshError, type MeshError } from '../../src/mesh/errors.ts';

export async function meshErrorOf(promise: Promise<unknown>, code: ErrorCode): Promise<MeshError> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    if (isMeshError(error, code)) return error;
    throw error;
  }
  throw new AssertionError(`expected ${code}, got ${JSON.stringify(value)}`);
}

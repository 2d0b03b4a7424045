/** Buffers for what is larger than a message head, kept for a moment on its way from one channel to another. */

import { Slabs } from '../../wire/slabs.ts';
import { BULK_BUFFERS_MAX, READ_BYTES } from '../limits.ts';

/** Each holds one read. */
export const bulk = new Slabs(READ_BYTES, BULK_BUFFERS_MAX);

/** The handshake generator as a process of its own, so that it can have a CPU. */

import { type HandshakeLoad, runHandshakes } from './handshakes.ts';
import { generate } from './outcome.ts';

await generate(job => runHandshakes(job as HandshakeLoad));

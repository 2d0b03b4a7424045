/** The open-loop generator as a process of its own, so that it can have a CPU. */

import { type OpenLoop, runOpenLoop } from './open-loop.ts';
import { generate } from './outcome.ts';

await generate(job => runOpenLoop(job as OpenLoop));

/** The callers that download in bulk as a process of its own, so that it can have a CPU. */

import { type BulkDownload, runDownload } from './bulk.ts';
import { generate } from './outcome.ts';

await generate(job => runDownload(job as BulkDownload));

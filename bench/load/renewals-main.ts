/** The renewal generator as a process of its own, so that it can have a CPU. */

import { generate } from './outcome.ts';
import { type RenewalLoad, runRenewals } from './renewals.ts';

await generate(job => runRenewals(job as RenewalLoad));

/** Callers and endpoint of a gateway as one process, so that both can have one CPU. */

import { runBulk } from './bulk.ts';
import { runIdle } from './gateway-callers.ts';
import { clientHello, type GatewayLoad, openEndpoint } from './gateway-load.ts';
import { generate } from './outcome.ts';

const RUN = { bulk: runBulk, idle: runIdle };

await generate(async asked => {
  const job = asked as GatewayLoad;
  await openEndpoint(job);
  return RUN[job.kind](job, await clientHello(job.serverName));
});

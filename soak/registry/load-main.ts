/** The load as a process of its own, so that nothing else it shares a thread with can delay it. */

import { SteadyLoad } from '../../src/cli/demo/load.ts';
import { parseAddress } from '../../src/mesh/address.ts';

const [outbound = '', url = '', perSecond = ''] = process.argv.slice(2);
const load = new SteadyLoad(parseAddress(outbound), url, Number(perSecond));
process.on('SIGINT', () => undefined);
process.once('SIGTERM', () => {
  void load.stop().then(report => process.stdout.write(`${JSON.stringify(report)}\n`));
});

/** What an operator may ask of this registry process; see `runtime/operator-socket.ts` for who that is. */

import { intentKey } from '../mesh/intent.ts';
import type { Logger } from '../runtime/log.ts';
import { type RpcService, rpcService } from '../runtime/rpc-server.ts';
import { RegistryOperatorDefinition } from '../wire/generated/isthmus/operator/v1/registry.ts';
import { decodeIntent, decodeIntentKey, encodeIntent } from '../wire/registry-intents.ts';
import { deleteIntent, type IntentTable, listIntents, putIntent } from './intents.ts';

export function registryOperatorService(table: IntentTable, log: Logger): RpcService {
  return rpcService(RegistryOperatorDefinition, {
    putIntent: async request => {
      const intent = decodeIntent(request.intent);
      const revision = await putIntent(table, intent);
      log.info({ intent: intentKey(intent), by: intent.by, reason: intent.reason }, 'intent put');
      return { revision };
    },
    deleteIntent: async request => {
      const key = decodeIntentKey(request.key);
      const existed = await deleteIntent(table, key);
      if (existed) log.info({ intent: key }, 'intent deleted');
      return { existed };
    },
    listIntents: () => {
      const intents = listIntents(table.mirror).map(({ intent, revision }) => ({
        intent: encodeIntent(intent),
        modRevision: revision,
      }));
      return Promise.resolve({ intents });
    },
  });
}

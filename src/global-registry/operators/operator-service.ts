/** What an operator may ask of this registry process; see `runtime/operator-socket.ts` for who that is. */

import { intentKey } from '../../mesh/intent.ts';
import { parseClusterName, parseNamespace, parseServiceName } from '../../mesh/names.ts';
import type { Logger } from '../../runtime/log.ts';
import { type RpcHandlers, type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import { RegistryOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/registry.ts';
import { decodeIntentKey, formatIntent, parseIntent } from '../../wire/registry-intents.ts';
import { followJournal } from './audit.ts';
import { confirmStore } from './confirm-store.ts';
import { deleteIntent, type IntentTable, listIntents, putIntent } from './intents.ts';
import {
  approveExport,
  disownService,
  listOwners,
  ownService,
  type ServiceRef,
} from './service-owners.ts';

export interface OperatorServiceOptions extends IntentTable {
  readonly log: Logger;
  readonly now: () => number;
}

export function registryOperatorService(options: OperatorServiceOptions): RpcService {
  return rpcService(RegistryOperatorDefinition, {
    ...intentHandlers(options),
    ...ownerHandlers(options),

    async *audit({ follow }, { signal }) {
      for await (const entry of followJournal(options.mirror, follow, signal)) yield { entry };
    },

    async confirmStore({ by }) {
      const wrong = await confirmStore(options, by);
      options.log.warn({ by, wrong }, 'store confirmed by an operator');
      return { wrong: wrong ?? '' };
    },
  });
}

type Handlers = RpcHandlers<typeof RegistryOperatorDefinition>;

function intentHandlers(
  options: OperatorServiceOptions,
): Pick<Handlers, 'putIntent' | 'deleteIntent' | 'listIntents'> {
  const { log } = options;
  return {
    async putIntent(request) {
      const intent = parseIntent(request.intent);
      const revision = await putIntent(options, intent, request.intent);
      log.info({ intent: intentKey(intent), by: intent.by, reason: intent.reason }, 'intent put');
      return { revision };
    },
    async deleteIntent({ key, by }) {
      const intent = decodeIntentKey(key);
      const existed = await deleteIntent(options, intent, by);
      if (existed) log.info({ intent, by }, 'intent deleted');
      return { existed };
    },
    listIntents() {
      const intents = listIntents(options.mirror).map(({ intent, revision }) => ({
        intent: Buffer.from(formatIntent(intent)),
        modRevision: revision,
        key: intentKey(intent),
      }));
      return Promise.resolve({ intents });
    },
  };
}

function ownerHandlers(
  options: OperatorServiceOptions,
): Pick<Handlers, 'ownService' | 'disownService' | 'approveExport' | 'listServices'> {
  const { mirror, now } = options;
  return {
    async ownService({ clusters, reason, by, ...request }) {
      const names = clusters.map(parseClusterName);
      await ownService(options, serviceOf(request), names, { reason, by, atMs: now() });
      return {};
    },
    async disownService({ by, ...request }) {
      return { existed: await disownService(options, serviceOf(request), by) };
    },
    async approveExport({ cluster, reason, by, ...request }) {
      const stated = { reason, by, atMs: now() };
      const name = parseClusterName(cluster);
      const clusters = await approveExport(options, serviceOf(request), name, stated);
      return { clusters: [...clusters] };
    },
    listServices() {
      const services = listOwners(mirror).map(({ service, owners, exporters }) => ({
        service,
        owned: owners !== undefined,
        owners: [...(owners ?? [])],
        exporters: [...exporters].map(([cluster, standing]) => ({
          cluster,
          waiting: standing.kind === 'waiting' ? standing.why : '',
        })),
      }));
      return Promise.resolve({ services });
    },
  };
}

/** Throws NAME_INVALID. */
function serviceOf(request: { readonly namespace: string; readonly service: string }): ServiceRef {
  return {
    namespace: parseNamespace(request.namespace),
    name: parseServiceName(request.service),
  };
}

/** What the registry has to tell a cluster about its own records, with each keep-alive of its lease. */

import type { ClusterName } from '../mesh/names.ts';
import * as pb from '../wire/generated/isthmus/registry/v1/registry.ts';
import { rivalKey } from './keys.ts';
import { RIVAL_NOTICE_MS } from './limits.ts';
import type { RegistryTable } from './table/table.ts';

export function noticesFor(table: RegistryTable, cluster: ClusterName, nowMs: number): pb.Notice[] {
  const rival = table.rows.get(rivalKey(cluster));
  const rivals = rival === undefined ? [] : rivalNotice(rival.entry.value, cluster, nowMs);
  const waiting = table
    .waiting()
    .flatMap(({ service, exporters, standing }) =>
      exporters.includes(cluster)
        ? [...standing.values()].flatMap(each =>
            each.kind === 'waiting'
              ? [{ kind: 'export-waiting', subject: service, message: each.why }]
              : [],
          )
        : [],
    );
  return [...rivals, ...waiting];
}

function rivalNotice(value: Uint8Array, cluster: ClusterName, nowMs: number): pb.Notice[] {
  const { instance, address, atMs } = pb.Rival.decode(value);
  if (nowMs - Number(atMs) > RIVAL_NOTICE_MS) return [];
  const at = new Date(Number(atMs)).toISOString();
  return [
    {
      kind: 'rival-instance',
      subject: cluster,
      message: `another agent, "${instance}" at ${address}, claimed to be cluster "${cluster}" at ${at} and was refused; stop it, or give it a name of its own`,
    },
  ];
}

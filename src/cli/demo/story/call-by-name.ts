/**
 * Step 2: web in east calls payments, which runs only in west.
 *
 * While the call is made, the gateway's tap records every byte it relays. The server name is readable
 * in them, which shows that the tap saw this very connection; the marker inside the request is not.
 */

import { randomUUID } from 'node:crypto';
import { formatAddress, type SocketAddress } from '../../../mesh/address.ts';
import { callThrough } from '../../call.ts';
import type { Narrator } from '../narrator.ts';
import { clustersetUrl, gatewayOf, sidecarOf, type World } from '../world.ts';
import { shortFingerprint } from './trust.ts';

interface Answer {
  readonly servedBy: string;
  readonly forwardedClientCert: string | null;
  readonly marker: string | null;
}

const TAP_MS = 1_500;

export async function tellCallByName(world: World, narrator: Narrator): Promise<void> {
  const web = sidecarOf(world, 'east/web');
  const gateway = gatewayOf(world, 'west');
  const marker = `marker-${randomUUID()}`;
  const tap = await openTap(gateway.admin);
  const result = await callThrough(web.outboundHttp, clustersetUrl('payments'), {
    headers: { 'x-marker': marker },
  });
  const relayed = await tap();
  if (result.status !== 200) throw new Error(`status ${result.status}: ${result.body}`);

  const answer = JSON.parse(result.body) as Answer;
  const upstream = result.upstream ?? {};
  const caller = /URI=([^;]+)/.exec(answer.forwardedClientCert ?? '')?.[1] ?? 'nobody';
  narrator.show('called', clustersetUrl('payments'), 'url');
  narrator.show('served by', answer.servedBy, 'servedBy');
  narrator.show('caller, as payments saw it', caller, 'callerVerifiedByCallee');
  narrator.show('callee, as web saw it', upstream['peer'] ?? '?', 'calleeVerifiedByCaller');
  narrator.show(
    'certificate issued by',
    `${upstream['issuer'] ?? '?'}, sha256 ${shortFingerprint(upstream['issuer-sha256'] ?? '')}`,
    'issuerVerifiedByCaller',
    { subject: upstream['issuer'], sha256: upstream['issuer-sha256'] },
  );
  narrator.show(
    'through',
    `${upstream['path'] ?? '?'} ${upstream['address'] ?? '?'}`,
    'gateway',
    upstream['address'],
  );
  narrator.show(
    'relayed by the gateway',
    `${relayed.length} bytes`,
    'relayedBytes',
    relayed.length,
  );

  narrator.check(
    'the call by name was answered by payments in west',
    answer.servedBy === 'payments-west-0',
    answer.servedBy,
  );
  narrator.check(
    "payments' sidecar verified the caller as web of east",
    caller === 'spiffe://east.example/ns/shop/sa/web',
    caller,
  );
  narrator.check(
    "web's sidecar verified payments' certificate, issued in west",
    upstream['peer'] === 'spiffe://west.example/ns/shop/sa/payments' &&
      (upstream['issuer'] ?? '').includes('west'),
    upstream['issuer'] ?? '?',
  );
  narrator.check(
    "it went through west's gateway",
    upstream['path'] === 'gateway' && upstream['address'] === formatAddress(gateway.listen),
    upstream['address'] ?? '?',
  );
  narrator.check(
    'the request carried a marker, which payments read',
    answer.marker === marker,
    answer.marker ?? 'none',
  );
  narrator.check(
    'the tap saw this connection: the server name is readable in it',
    relayed.includes('payments.shop.west'),
    relayed.length > 0 ? 'found' : 'nothing relayed',
  );
  narrator.check(
    'the gateway never saw the plaintext: the marker is not in what it relayed',
    relayed.length > 0 && !relayed.includes(marker),
    `searched ${relayed.length} bytes`,
  );
}

/** Resolves once the gateway records; the returned function resolves with what it relayed since. */
async function openTap(admin: SocketAddress): Promise<() => Promise<Buffer>> {
  const response = await fetch(
    `http://${formatAddress(admin)}/tap?durationMs=${TAP_MS}&bytesMax=1048576`,
  );
  if (!response.ok) throw new Error(`gateway tap: status ${response.status}`);
  return async () => Buffer.from(await response.arrayBuffer());
}

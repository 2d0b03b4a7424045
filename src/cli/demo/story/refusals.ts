/**
 * Step 5: what must not work, each beside the legal twin that does. A refusal alone proves nothing: a
 * mesh that refuses everyone would pass.
 */

import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { parseNamespace, parseServiceName } from '../../../mesh/names.ts';
import { serviceHost } from '../../../mesh/service.ts';
import { createRoot } from '../../../trust-federation/authority/authority-file.ts';
import { loadActiveRoot } from '../../../trust-federation/authority/authority-journal.ts';
import { bundleOf } from '../../../trust-federation/authority/root-file.ts';
import {
  generateSvidKey,
  loadSvid,
  parseSvid,
  type Svid,
} from '../../../trust-federation/identity/svid.ts';
import { issueLeaf, type Signer } from '../../../trust-federation/x509/certificate.ts';
import { formatSni } from '../../../wire/sni.ts';
import { callThrough } from '../../call.ts';
import type { Narrator } from '../narrator.ts';
import { type Probe, type ProbeResult, probePlaintext, probeTunnel } from '../probe.ts';
import { agentOf, clusterNamed, gatewayOf, sidecarOf, type World } from '../world.ts';

const FORGED_TTL_MS = 3_600_000;
const SHOP = parseNamespace('shop');

export async function tellRefusals(world: World, narrator: Narrator): Promise<void> {
  const web = await required(loadSvid(join(world.stateDir('east/web'), 'identity')), "web's SVID");
  const westRoot = await rootOf(world, 'west');
  const probe = (service: string, svid: Svid): Promise<ProbeResult> =>
    probeTunnel(throughWestGateway(world, westRoot, service, svid));

  const legal = await probe('payments', web);
  const verdict = (name: string, refusal: ProbeResult, twin: string, twinHeld: boolean): void => {
    narrator.check(
      `refused: ${name}`,
      refusal.kind === 'refused',
      refusal.kind === 'refused' ? refusal.how : 'it was accepted',
    );
    narrator.check(`  twin:  ${twin}`, twinHeld, twinHeld ? 'accepted' : 'refused too');
  };
  const real = "web's real certificate, same name, same way";

  const ledgerAtHome = await callThrough(
    sidecarOf(world, 'west/checkout').outboundHttp,
    'http://ledger.shop.svc.cluster.local/',
  );
  verdict(
    'ledger, not exported, through the gateway',
    await probe('ledger', web),
    'payments, exported, through the same gateway',
    legal.kind === 'accepted',
  );
  narrator.check(
    '  twin:  ledger from inside west',
    ledgerAtHome.status === 200,
    `status ${ledgerAtHome.status}`,
  );

  const strangerDir = join(world.stateDir('stranger'), 'authority');
  const stranger = await createRoot(
    strangerDir,
    { name: 'stranger', trustDomain: agentOf(world, 'east').trustDomain },
    Date.now(),
  );
  verdict(
    "web's ID in a certificate another root issued",
    await probe('payments', forge(web, stranger)),
    real,
    legal.kind === 'accepted',
  );
  verdict(
    "web's ID (east) signed by west's real CA",
    await probe('payments', forge(web, westRoot)),
    real,
    legal.kind === 'accepted',
  );

  const payments = sidecarOf(world, 'west/payments');
  const answer = await probePlaintext(payments.inbound);
  const plaintext: ProbeResult = answer.startsWith('HTTP/')
    ? { kind: 'accepted' }
    : { kind: 'refused', how: 'closed without an HTTP answer' };
  const direct = await probeTunnel({
    ...throughWestGateway(world, westRoot, 'payments', web),
    address: payments.inbound,
  });
  verdict(
    "plaintext to payments' inbound port",
    plaintext,
    'mTLS to the same port',
    direct.kind === 'accepted',
  );
}

function throughWestGateway(world: World, westRoot: Signer, service: string, svid: Svid): Probe {
  const name = parseServiceName(service);
  return {
    address: gatewayOf(world, 'west').listen,
    sni: formatSni({
      cluster: clusterNamed(world, 'west').name,
      namespace: SHOP,
      service: name,
      port: 80,
    }),
    svid,
    bundle: bundleOf([westRoot.certificate]),
    authority: `${serviceHost('clusterset', SHOP, name)}:80`,
  };
}

/** The same identity, a new key, another signer. */
function forge(svid: Svid, signer: Signer): Svid {
  const key = generateSvidKey();
  const leaf = issueLeaf(
    { publicKey: createPublicKey(key), id: svid.id, ttlMs: FORGED_TTL_MS },
    signer,
    Date.now(),
  );
  return parseSvid([leaf], key);
}

async function rootOf(world: World, cluster: string): Promise<Signer> {
  const dir = join(world.stateDir(agentOf(world, cluster).name), 'authority');
  return required(loadActiveRoot(dir), `${cluster}'s root`);
}

async function required<T>(value: Promise<T | undefined>, what: string): Promise<T> {
  const found = await value;
  if (found === undefined) throw new Error(`${what} is not where it should be`);
  return found;
}

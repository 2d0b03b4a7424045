/**
 * Who was refused lately, and why: what `/debug/refusals` of every process shows.
 *
 * Repetitions are counted instead of listed and the list is bounded, so that a flood of one kind can
 * neither fill the memory nor wash out the rest.
 */

import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import { REFUSED_PEERS_MAX } from '../limits.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';
import { subjectOf } from './chain-rules.ts';

export interface PeerRefusal {
  /** Closed and short: a metric label. */
  readonly reason: string;
  readonly message: string;
  /** Address it came from, or was called at. */
  readonly source: string;
  /** What its certificate claims, where that could be read. */
  readonly id?: SpiffeId | undefined;
  /** As presented, leaf first; empty where nothing was. */
  readonly chain: readonly Uint8Array[];
}

/** `port`: of ours, by name; `outbound` for peers that we called. */
export interface RefusedPeer extends Omit<PeerRefusal, 'chain'> {
  readonly port: string;
  readonly chain: readonly string[];
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
}

export class RefusedPeers {
  readonly #now: () => number;
  /** In the order of their last time. */
  readonly #peers = new Map<string, RefusedPeer>();

  constructor(now: () => number) {
    this.#now = now;
  }

  record(port: string, refusal: PeerRefusal): void {
    const { reason, message, source, id } = refusal;
    const key = [port, reason, source, id].join(' ');
    const earlier = this.#peers.get(key);
    const nowMs = this.#now();
    this.#peers.delete(key);
    this.#peers.set(key, {
      port,
      reason,
      message,
      source,
      ...(id === undefined ? {} : { id }),
      chain: refusal.chain.map(describe),
      firstMs: earlier?.firstMs ?? nowMs,
      lastMs: nowMs,
      count: (earlier?.count ?? 0) + 1,
    });
    const [oldest] = this.#peers.keys();
    if (this.#peers.size > REFUSED_PEERS_MAX && oldest !== undefined) this.#peers.delete(oldest);
  }

  /** The latest first. */
  list(): readonly RefusedPeer[] {
    return [...this.#peers.values()].reverse();
  }
}

const NAME_CHARS_MAX = 200;

function describe(der: Uint8Array): string {
  let certificate: ParsedCertificate;
  try {
    certificate = parseCertificate(der);
  } catch {
    return `unreadable, ${der.length} bytes`;
  }
  const { uris, x509, notBeforeMs, notAfterMs } = certificate;
  const name = uris[0]?.slice(0, NAME_CHARS_MAX) ?? subjectOf(certificate);
  const sha256 = x509.fingerprint256.replaceAll(':', '').toLowerCase();
  const from = new Date(notBeforeMs).toISOString();
  const to = new Date(notAfterMs).toISOString();
  return `${name}, sha256 ${sha256}, valid ${from} to ${to}`;
}

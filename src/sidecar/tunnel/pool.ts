/**
 * The sessions a sidecar holds: one for each (address, server name, expected identity).
 *
 * A session lives under the SVID and the bundle it was made with. When either changes it is retired:
 * its streams finish, new calls get a new handshake, so nothing is ever sent under credentials that
 * are no longer in force.
 */

import type { TLSSocket } from 'node:tls';
import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import type { Target } from '../../mesh/balancing.ts';
import type { Collection } from '../../mesh/collection.ts';
import { MeshError } from '../../mesh/errors.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { steadyClock } from '../../runtime/steady-clock.ts';
import { aborted } from '../../runtime/supervise.ts';
import { withdrawal } from '../../trust-federation/bundles/withdrawal.ts';
import type { Svid, SvidSource } from '../../trust-federation/identity/svid.ts';
import { exactly } from '../../trust-federation/peers/authorizer.ts';
import type { PeerRefusal } from '../../trust-federation/peers/refused-peers.ts';
import { type Clocks, peerChain, verifyConnection } from '../../trust-federation/peers/tls.ts';
import type { AcceptedPeer } from '../../trust-federation/peers/verify.ts';
import { dial } from './dial.ts';
import { type StreamOutcome, TunnelSession, type TunnelStream } from './session.ts';

export interface SessionPoolOptions {
  readonly identity: SvidSource;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  /** A peer was not whom we called, or is revoked now. */
  readonly onRefused: (refusal: PeerRefusal) => void;
  /** The peer of a session has stopped answering; `key` is its targets' `sessionKey`. */
  readonly onSilent: (key: string) => void;
  readonly now: () => number;
}

export interface OpenedStream {
  readonly outcome: StreamOutcome;
  readonly peer: AcceptedPeer;
}

export interface SessionInUse {
  readonly target: Target;
  /** When something last came back on it; undefined while it is being made. */
  readonly heardMs: number | undefined;
}

interface Slot {
  readonly target: Target;
  readonly svid: Svid;
  readonly bundle: TrustBundle;
  readonly session: Promise<TunnelSession>;
  /** Once it is there. */
  ready: TunnelSession | undefined;
}

export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #clocks: Clocks;
  /** Bounded by the endpoints the agent has named: a slot goes with its session. */
  readonly #slots = new Map<string, Slot>();
  /** All that live, those retired too, with the address of their peer. */
  readonly #sessions = new Map<TunnelSession, string>();
  readonly #stopObserving: readonly (() => void)[];

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#clocks = { now: options.now, steady: steadyClock(options.now) };
    const retireStale = (): void => this.#retireStale();
    this.#stopObserving = [
      options.identity.observe(retireStale),
      options.bundles.observe(() => {
        retireStale();
        this.#cutWithdrawn();
      }),
    ];
  }

  /** A stream that is open already, for the next exchange. `key` is the target's `sessionKey`. */
  takeIdle(key: string, authority: string): TunnelStream | undefined {
    return this.#slots.get(key)?.ready?.takeIdle(authority);
  }

  /** A stream to the application behind the target's sidecar. Rejects when no session can be made. */
  async open(target: Target, authority: string, signal: AbortSignal): Promise<OpenedStream> {
    const key = sessionKey(target);
    const held = this.#slots.get(key);
    if (held !== undefined) {
      const opened = await openOn(held, authority, signal);
      if (opened.outcome.kind === 'open' || opened.outcome.cause !== 'lost') return opened;
      // Whoever would connect there again would wait once more.
      if (held.ready?.isSilent === true) return opened;
      // A session may die between two calls; finding out costs the call nothing but this.
      this.#retire(key, held);
    }
    return openOn(this.#slots.get(key) ?? this.#connect(key, target), authority, signal);
  }

  /** The sessions there are, and those being made. */
  inUse(): readonly SessionInUse[] {
    return [...this.#slots.values()].map(({ target, ready }) => ({
      target,
      heardMs: ready?.heardMs,
    }));
  }

  /** No new calls through this address on the sessions there are; those on them finish. */
  retireThrough(address: SocketAddress): void {
    for (const [key, slot] of this.#slots) {
      if (formatAddress(slot.target.address) === formatAddress(address)) this.#retire(key, slot);
    }
  }

  /** After the abort streams in flight finish; calls that come later get sessions of their own. */
  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    for (const stop of this.#stopObserving) stop();
    for (const [key, slot] of this.#slots) this.#retire(key, slot);
  }

  #connect(key: string, target: Target): Slot {
    const { identity, bundles, now } = this.#options;
    const { trustDomain } = target.endpoint;
    const bundle = bundles.get(trustDomain);
    if (bundle === undefined) {
      throw new MeshError('PEER_UNAVAILABLE', `no trust bundle of "${trustDomain}" is known yet`);
    }
    const svid = identity.current();
    const session = dial(target, svid, bundle).then(socket => {
      const peer = this.#verify(socket, target, bundle);
      const opened = new TunnelSession(socket, peer, now);
      const source = formatAddress(target.address);
      this.#sessions.set(opened, source);
      opened.onClose(() => this.#sessions.delete(opened));
      return opened;
    });
    const slot: Slot = { target, svid, bundle, session, ready: undefined };
    this.#slots.set(key, slot);
    session.then(
      opened => {
        slot.ready = opened;
        opened.onClose(() => {
          this.#forget(key, slot);
          if (opened.isSilent) this.#options.onSilent(key);
        });
      },
      () => this.#forget(key, slot),
    );
    return slot;
  }

  /** Before a byte of a call is written. Throws PEER_REFUSED. */
  #verify(socket: TLSSocket, { endpoint, address }: Target, bundle: TrustBundle): AcceptedPeer {
    const { onRefused } = this.#options;
    const chain = peerChain(socket);
    const known = new Map([[bundle.trustDomain, bundle]]);
    const peer = verifyConnection(socket, known, exactly(endpoint.spiffeId), this.#clocks);
    if (peer.kind === 'accepted') return peer;
    onRefused({ ...peer, source: formatAddress(address), chain });
    socket.destroy();
    throw new MeshError('PEER_REFUSED', peer.message, { details: { reason: peer.reason } });
  }

  /** Ends what goes on with peers that are revoked by now; it may be streams of retired sessions. */
  #cutWithdrawn(): void {
    const { bundles, onRefused } = this.#options;
    for (const [session, source] of this.#sessions) {
      const reason = withdrawal(session.peer, bundles);
      if (reason === undefined) continue;
      onRefused({ ...reason, source, chain: [] });
      session.destroy();
    }
  }

  #retireStale(): void {
    const { identity, bundles } = this.#options;
    const svid = identity.current();
    for (const [key, slot] of this.#slots) {
      const fresh = slot.svid === svid && slot.bundle === bundles.get(slot.bundle.trustDomain);
      if (!fresh) this.#retire(key, slot);
    }
  }

  #retire(key: string, slot: Slot): void {
    this.#forget(key, slot);
    slot.session.then(
      session => session.retire(),
      () => undefined,
    );
  }

  #forget(key: string, slot: Slot): void {
    if (this.#slots.get(key) === slot) this.#slots.delete(key);
  }
}

/** Calls to targets with one key share a session. */
export function sessionKey({ endpoint, address }: Target): string {
  return `${formatAddress(address)} ${endpoint.sni} ${endpoint.spiffeId}`;
}

async function openOn(slot: Slot, authority: string, signal: AbortSignal): Promise<OpenedStream> {
  const session = await slot.session;
  return { outcome: await session.open(authority, signal), peer: session.peer };
}

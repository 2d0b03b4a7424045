/**
 * The other end of peer-probe.ts: what a gateway answers itself, under its own SVID.
 *
 * Connections come from the gateway's listener, which has read the server name and put it back. A peer
 * is verified like every other, and then gets back what it sends, so much and so long and no more.
 */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { SvidSource } from '../identity/svid.ts';
import {
  PROBE_ACCEPT_MS_MAX,
  PROBE_BYTES,
  PROBE_ECHO_BYTES_MAX,
  PROBE_IDLE_MS_MAX,
  PROBE_LIFE_MS_MAX,
} from '../limits.ts';
import { anyIdentity } from '../peers/authorizer.ts';
import { type ConnectionRefusal, PeerListener } from '../peers/peer-listener.ts';
import { PROBE, PROBE_PROTOCOL } from './peer-probe.ts';

export interface ProbeResponderOptions {
  readonly identity: SvidSource;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly probesMax: number;
  readonly onRefused: (reason: ConnectionRefusal) => void;
  readonly now: () => number;
}

export class ProbeResponder {
  readonly #listener: PeerListener;
  readonly #probesMax: number;
  #open = 0;
  #isDraining = false;

  constructor(options: ProbeResponderOptions) {
    const { identity, bundles, onRefused, now } = options;
    this.#probesMax = options.probesMax;
    this.#listener = new PeerListener({
      identity,
      protocol: PROBE_PROTOCOL,
      admission: {
        kind: 'peers',
        bundles,
        // Whoever may call through this gateway may ask whether it is there.
        authorize: anyIdentity,
        onPeer: socket => this.#echo(socket),
      },
      // Nothing is accepted here: `answer` bounds what is handed over.
      connectionsMax: 0,
      handshakeMsMax: PROBE_ACCEPT_MS_MAX,
      onRefused: ({ reason }) => onRefused(reason),
      now,
    });
  }

  /** No more may be given to `answer` until one of them has gone. */
  get isFull(): boolean {
    return this.#open >= this.#probesMax;
  }

  answer(socket: Socket, hello: Buffer): void {
    this.#open++;
    socket.once('close', () => this.#open--);
    socket.unshift(hello);
    this.#listener.adopt(socket);
  }

  /** Says so in every echo from now on. */
  drain(): void {
    this.#isDraining = true;
  }

  async close(): Promise<void> {
    this.#listener.cut();
    await this.#listener.close();
  }

  #echo(socket: TLSSocket): void {
    let received: Buffer[] = [];
    let receivedBytes = 0;
    let echoedBytes = 0;
    const life = setTimeout(() => socket.destroy(), PROBE_LIFE_MS_MAX);
    socket.once('close', () => clearTimeout(life));
    socket.setTimeout(PROBE_IDLE_MS_MAX, () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      received.push(bytes);
      receivedBytes += bytes.length;
      if (receivedBytes < PROBE_BYTES) return;
      const ping = Buffer.concat(received);
      received = [];
      receivedBytes = 0;
      echoedBytes += PROBE_BYTES;
      // One ping at a time: a second one before the first is echoed is no probe of ours.
      if (
        ping.length > PROBE_BYTES ||
        ping[0] !== PROBE.ping ||
        echoedBytes > PROBE_ECHO_BYTES_MAX
      ) {
        socket.destroy();
        return;
      }
      ping[0] = this.#isDraining ? PROBE.draining : PROBE.serving;
      socket.write(ping);
    });
  }
}

/**
 * Asking a gateway of another cluster whether it is there: one mTLS connection to the server name that
 * it answers itself, and pings of PROBE_BYTES that it sends back.
 *
 * It proves what a TCP connect cannot: that a handshake ends, that a gateway of exactly that cluster holds
 * the key at the other end, and that full packets pass both ways. The first byte of a ping says what it
 * is; in the echo it says how the gateway is; the rest is random and has to come back as it was.
 * Nothing here decides anything: outcomes go to mesh/path.ts.
 */

import { randomBytes } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import { isMeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { PathFailure } from '../../mesh/path.ts';
import { gatewayId } from '../../mesh/system-identities.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { formatProbeSni } from '../../wire/sni.ts';
import type { Svid } from '../identity/svid.ts';
import { PROBE_BYTES } from '../limits.ts';
import { exactly } from '../peers/authorizer.ts';
import { meshClientTls } from '../peers/tls.ts';

export const PROBE_PROTOCOL = 'isthmus-probe/1';
/** First byte of a ping, and of its echo. */
export const PROBE = { ping: 1, serving: 2, draining: 3 } as const;

export interface ProbeTarget {
  readonly cluster: ClusterName;
  readonly address: SocketAddress;
}

export type DialOutcome =
  | { readonly kind: 'open'; readonly connection: ProbeConnection }
  | ProbeFailed;

export type PingOutcome =
  | { readonly kind: 'answered'; readonly rttMs: number; readonly isDraining: boolean }
  | ProbeFailed;

export interface ProbeFailed {
  readonly kind: 'failed';
  readonly reason: PathFailure;
}

/** A full handshake. Never rejects. */
export function dialProbe(
  { cluster, address }: ProbeTarget,
  svid: Svid,
  bundle: TrustBundle,
  options: { readonly withinMs: number; readonly now: () => number },
): Promise<DialOutcome> {
  return new Promise(resolve => {
    let isConnected = false;
    const tcp = connectTcp({ ...address, noDelay: true });
    const tls = connectTls({
      ...meshClientTls(svid, bundle, exactly(gatewayId(bundle.trustDomain)), options.now),
      socket: tcp,
      servername: formatProbeSni(cluster),
      ALPNProtocols: [PROBE_PROTOCOL],
    });
    const fail = (reason: PathFailure): void => {
      clearTimeout(deadline);
      // First: what the sockets say about being destroyed is no reason.
      resolve({ kind: 'failed', reason });
      tcp.destroy();
      tls.destroy();
    };
    const deadline = setTimeout(() => fail(isConnected ? 'hung' : 'silent'), options.withinMs);
    tcp.once('connect', () => (isConnected = true));
    tcp.on('error', error => fail(failureOf(error)));
    tls.on('error', (error: Error) => fail(failureOf(error)));
    tls.once('close', () => fail('reset'));
    tls.once('secureConnect', () => {
      if (tls.alpnProtocol !== PROBE_PROTOCOL) {
        fail('wrong-peer');
        return;
      }
      clearTimeout(deadline);
      resolve({ kind: 'open', connection: new ProbeConnection(tls) });
    });
  });
}

export class ProbeConnection {
  readonly #socket: TLSSocket;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #onReceived: () => void = () => undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('end', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes);
      this.#receivedBytes += bytes.length;
      if (this.#receivedBytes > PROBE_BYTES) socket.destroy();
      else if (this.#receivedBytes === PROBE_BYTES) this.#onReceived();
    });
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Returns how to stop listening. */
  onClose(listener: () => void): () => void {
    this.#socket.once('close', listener);
    return () => this.#socket.off('close', listener);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** One at a time. Never rejects; a connection that failed is closed. */
  ping(withinMs: number): Promise<PingOutcome> {
    if (!this.isOpen) return Promise.resolve({ kind: 'failed', reason: 'reset' });
    return new Promise(resolve => {
      const sent = randomBytes(PROBE_BYTES);
      sent[0] = PROBE.ping;
      const startedMs = performance.now();
      const fail = (reason: PathFailure): void => {
        finish({ kind: 'failed', reason });
        this.close();
      };
      const finish = (outcome: PingOutcome): void => {
        clearTimeout(deadline);
        this.#socket.off('close', onClose);
        this.#received = [];
        this.#receivedBytes = 0;
        this.#onReceived = () => undefined;
        resolve(outcome);
      };
      const onClose = (): void => fail('reset');
      const deadline = setTimeout(() => fail('hung'), withinMs);
      this.#onReceived = () => {
        const echo = Buffer.concat(this.#received);
        const isDraining = echo[0] === PROBE.draining;
        if (
          !echo.subarray(1).equals(sent.subarray(1)) ||
          !(isDraining || echo[0] === PROBE.serving)
        ) {
          fail('wrong-answer');
        } else {
          finish({ kind: 'answered', rttMs: performance.now() - startedMs, isDraining });
        }
      };
      this.#socket.once('close', onClose);
      this.#socket.write(sent);
    });
  }
}

function failureOf(error: Error & { readonly code?: unknown }): PathFailure {
  if (isMeshError(error, 'PEER_REFUSED')) return 'wrong-peer';
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return 'unreachable';
    case 'ETIMEDOUT':
      return 'silent';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'reset';
    default:
      // OpenSSL's: the other side does not speak TLS, or nobody we know signed its chain.
      return 'wrong-peer';
  }
}

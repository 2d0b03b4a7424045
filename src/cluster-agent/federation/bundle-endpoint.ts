/**
 * The SPIFFE bundle endpoint: this cluster's bundle document over HTTPS, for SPIRE and whoever else
 * federates with it (SPIFFE Federation §5). Anyone may read; there is nothing else to ask for.
 */

import { constants } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import type { Logger } from '../../runtime/log.ts';
import { readPrivateFile } from '../../runtime/state-file.ts';
import { aborted, sleep } from '../../runtime/supervise.ts';
import type { SvidSource } from '../../trust-federation/identity/svid.ts';
import { anonymousServerTls } from '../../trust-federation/peers/tls.ts';
import { formatBundleDocument } from '../../wire/bundle-document.ts';
import {
  BUNDLE_ENDPOINT_CONNECTIONS_MAX,
  BUNDLE_ENDPOINT_REQUEST_MS_MAX,
  WEB_CERTIFICATE_POLL_MS,
} from '../limits.ts';
import type { BundleEndpointConfig } from './config.ts';

export interface BundleEndpointOptions {
  readonly config: BundleEndpointConfig;
  /** The agent's SVID, for `https_spiffe`. */
  readonly identity: SvidSource;
  /** One row. */
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly log: Logger;
}

export class BundleEndpoint {
  readonly name = 'bundle-endpoint';
  readonly #options: BundleEndpointOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #webCertificate = '';

  constructor(options: BundleEndpointOptions) {
    this.#options = options;
    this.#server = createServer(
      { minVersion: 'TLSv1.2', maxHeaderSize: 4_096, secureOptions: constants.SSL_OP_NO_TICKET },
      (request, response) => {
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          response.writeHead(405, { allow: 'GET, HEAD' }).end();
          return;
        }
        const [bundle] = options.bundles.entries().values();
        if (bundle === undefined) throw new Error('an endpoint needs a bundle');
        const body = formatBundleDocument(bundle);
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-length': body.length,
          'cache-control': 'no-cache',
        });
        response.end(body);
      },
    );
    this.#server.maxConnections = BUNDLE_ENDPOINT_CONNECTIONS_MAX;
    this.#server.requestTimeout = BUNDLE_ENDPOINT_REQUEST_MS_MAX;
    this.#server.headersTimeout = BUNDLE_ENDPOINT_REQUEST_MS_MAX;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      // What is not TLS, or says nothing, goes as well.
      socket.setTimeout(2 * BUNDLE_ENDPOINT_REQUEST_MS_MAX, () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** Throws FILE_ codes, CERTIFICATE_INVALID, ADDRESS_ codes. */
  async listen(): Promise<SocketAddress> {
    const { config, identity } = this.#options;
    if (config.profile === 'https_web') {
      await this.#readWebCertificate(config);
    } else {
      this.#present(anonymousServerTls(identity.current()));
    }
    return listen(this.#server, config.listen);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { config, identity } = this.#options;
    const stop = identity.observe(() => {
      if (config.profile === 'https_spiffe') this.#present(anonymousServerTls(identity.current()));
    });
    if (config.profile === 'https_web') await this.#followWebCertificate(config, signal);
    else await aborted(signal);
    stop();
    const closed = closeServer(this.#server);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #followWebCertificate(files: WebFiles, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(WEB_CERTIFICATE_POLL_MS, signal);
      try {
        await this.#readWebCertificate(files);
      } catch (error) {
        this.#options.log.error({ error }, 'web certificate not read, keeping the one in hand');
      }
    }
  }

  async #readWebCertificate({ certificate, key }: WebFiles): Promise<void> {
    const [cert, secret] = await Promise.all([required(certificate), readPrivateFile(key)]);
    if (secret === undefined) throw new MeshError('FILE_UNREADABLE', `"${key}" does not exist`);
    const both = cert + secret.toString('latin1');
    if (both === this.#webCertificate) return;
    try {
      this.#present({ cert, key: secret });
    } catch (cause) {
      const message = `"${certificate}" and "${key}": ${messageOf(cause)}`;
      throw new MeshError('CERTIFICATE_INVALID', message, { cause });
    }
    this.#webCertificate = both;
  }

  #present(context: SecureContextOptions): void {
    this.#server.setSecureContext({
      ...context,
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
  }
}

interface WebFiles {
  readonly certificate: string;
  readonly key: string;
}

async function required(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1');
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `"${file}" cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

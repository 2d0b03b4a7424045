/** A foreign bundle endpoint as SPIRE would run it: a plain node:https server with a hand on its answer. */

import type { ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TrustDomain } from '../../../src/mesh/spiffe-id.ts';
import { generateSvidKey, type Svid } from '../../../src/trust-federation/identity/svid.ts';
import { issueRoot, signerOf } from '../../../src/trust-federation/x509/certificate.ts';
import { OID } from '../../../src/trust-federation/x509/oids.ts';
import { certificatesPem, keyPem } from '../../../src/trust-federation/x509/pem.ts';
import {
  basicConstraints,
  DIGITAL_SIGNATURE,
  extendedKeyUsage,
  forgeCertificate,
  keyUsage,
  names,
} from '../../trust-federation/pki.ts';

export type Answer = (response: ServerResponse) => void;

export class ForeignEndpoint {
  readonly requests: string[] = [];
  readonly #server: Server;
  answer: Answer;

  private constructor(options: ServerOptions, answer: Answer) {
    this.answer = answer;
    this.#server = createServer(options, (request, response) => {
      this.requests.push(request.url ?? '');
      this.answer(response);
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(options: ServerOptions, answer: Answer): Promise<ForeignEndpoint> {
    const endpoint = new ForeignEndpoint(options, answer);
    await new Promise<void>(done => endpoint.#server.listen(0, '127.0.0.1', done));
    return endpoint;
  }

  get url(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}/bundle`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise(done => this.#server.close(() => done()));
  }
}

export function documentAnswer(document: Uint8Array): Answer {
  return response => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(document);
  };
}

export function svidTls(svid: Svid): ServerOptions {
  return { key: keyPem(svid.key), cert: certificatesPem(svid.chain) };
}

/** A certificate for "localhost" by a private CA of the web, and that CA. */
export function webTls(nowMs: number): { key: string; cert: string; roots: string } {
  const rootKey = generateSvidKey();
  const subject = { name: 'web', trustDomain: 'web.example' as TrustDomain };
  const root = signerOf(issueRoot(subject, rootKey, nowMs), rootKey);
  const key = generateSvidKey();
  const certificate = forgeCertificate({
    signer: root,
    key,
    commonName: 'localhost',
    notBeforeMs: nowMs - 60_000,
    notAfterMs: nowMs + 3_600_000,
    extensions: [
      basicConstraints(false),
      keyUsage(DIGITAL_SIGNATURE),
      extendedKeyUsage(OID.serverAuth),
      names([2, 'localhost']),
    ],
  });
  return {
    key: keyPem(key),
    cert: certificatesPem([certificate]),
    roots: certificatesPem([root.certificate.der]),
  };
}

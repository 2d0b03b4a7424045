/**
 * The one admin server of every process: what an operator and a scraper ask, over plain HTTP.
 *
 * `/live` the process answers; `/ready` it can do its work, or why not; `/metrics` Prometheus text;
 * `/config` the configuration in force; `/debug/<collection>` state as JSON. Bind it to loopback: it
 * has no authentication. It refuses a Host that is not an address or localhost, so a web page cannot
 * reach it by rebinding a name, and nothing here changes anything on a GET.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { SocketAddress } from '../mesh/address.ts';
import { closeServer, listen } from './listen.ts';
import type { MetricsRegistry } from './metrics.ts';
import { aborted } from './supervise.ts';

export type AdminHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
) => void | Promise<void>;

/** Undefined when ready, else what is still missing. */
export type ReadyCheck = () => string | undefined;

export class AdminServer {
  readonly #server: Server;
  readonly #metrics: MetricsRegistry;
  readonly #ready = new Map<string, ReadyCheck>();
  readonly #debug = new Map<string, () => unknown>();
  readonly #routes = new Map<string, AdminHandler>();
  readonly #config: unknown;

  constructor(options: { readonly metrics: MetricsRegistry; readonly config: unknown }) {
    this.#metrics = options.metrics;
    this.#config = options.config;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.requestTimeout = 10_000;
    this.#server.headersTimeout = 5_000;
    this.#server.maxConnections = 100;
  }

  ready(name: string, check: ReadyCheck): void {
    this.#ready.set(name, check);
  }

  /** Serves `read()` as JSON under `/debug/<name>`. */
  debug(name: string, read: () => unknown): void {
    this.#debug.set(name, read);
  }

  route(method: 'GET' | 'POST', path: string, handler: AdminHandler): void {
    this.#routes.set(`${method} ${path}`, handler);
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  /** Serves until aborted; open requests are cut, nothing here is worth waiting for. */
  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = closeServer(this.#server);
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (!localHost(request.headers.host)) {
        sendJson(response, 403, { error: 'use an IP address or localhost as the host' });
        return;
      }
      await this.#answer(request, response);
    } catch (error) {
      if (!response.headersSent) sendJson(response, 500, { error: String(error) });
      else response.destroy();
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://admin');
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    const custom = this.#routes.get(`${method} ${url.pathname}`);
    if (custom !== undefined) return custom(request, response, url);
    if (method !== 'GET') {
      sendJson(response, 405, { error: `${method} is not served here` });
      return;
    }
    switch (url.pathname) {
      case '/live': {
        sendJson(response, 200, { live: true });
        return;
      }
      case '/ready': {
        this.#answerReady(response);
        return;
      }
      case '/config': {
        sendJson(response, 200, this.#config);
        return;
      }
      case '/metrics': {
        const text = await this.#metrics.metrics();
        response.writeHead(200, { 'content-type': this.#metrics.contentType }).end(text);
        return;
      }
      case '/': {
        sendJson(response, 200, { paths: this.#paths() });
        return;
      }
      default: {
        const read = /^\/debug\/([a-z-]+)$/.exec(url.pathname)?.[1];
        const debug = read === undefined ? undefined : this.#debug.get(read);
        if (debug === undefined) {
          sendJson(response, 404, { error: 'no such path', paths: this.#paths() });
          return;
        }
        sendJson(response, 200, debug());
        return;
      }
    }
  }

  #answerReady(response: ServerResponse): void {
    const waiting: Record<string, string> = {};
    for (const [name, check] of this.#ready) {
      const reason = check();
      if (reason !== undefined) waiting[name] = reason;
    }
    const ready = Object.keys(waiting).length === 0;
    sendJson(response, ready ? 200 : 503, ready ? { ready } : { ready, waiting });
  }

  #paths(): string[] {
    const debug = [...this.#debug.keys()].map(name => `/debug/${name}`);
    return ['/live', '/ready', '/metrics', '/config', ...debug, ...this.#routes.keys()];
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body, jsonValue, 2)}\n`;
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

/** Maps, sets, bytes and bigints, which state is made of and JSON has no words for. */
function jsonValue(this: Record<string, unknown>, key: string, value: unknown): unknown {
  // A Buffer has been through its own toJSON by now.
  const raw = this[key];
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>);
  if (value instanceof Set) return [...(value as Set<unknown>)];
  if (raw instanceof Uint8Array) return Buffer.from(raw).toString('base64');
  if (typeof value === 'bigint') return String(value);
  return value;
}

function localHost(host: string | undefined): boolean {
  return host !== undefined && /^(?:localhost|[0-9.]+|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?$/.test(host);
}

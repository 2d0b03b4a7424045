/**
 * Bundles of trust domains outside the ClusterSet: fetched by their refresh hint, kept on disk.
 *
 * What cannot be fetched or believed changes nothing but the status: the last good bundle serves until its
 * roots expire. An empty one that is authentic means that nobody of that trust domain is trusted any more.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sameValue, Table } from '../../mesh/collection.ts';
import { isMeshError, MeshError, messageOf } from '../../mesh/errors.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { ensurePrivateDir, readStateFile, writeStateFile } from '../../runtime/state-file.ts';
import { Backoff, sleep, supervise } from '../../runtime/supervise.ts';
import { parseBundleDocument } from '../../wire/bundle-document.ts';
import {
  BUNDLE_REFRESH_MS_MAX,
  BUNDLE_REFRESH_MS_MIN,
  BUNDLE_RETRY_MS_FIRST,
  BUNDLE_RETRY_MS_MAX,
} from '../limits.ts';
import type { FederationConfig } from './config.ts';
import { type EndpointProof, fetchBundle } from './fetch-bundle.ts';

export interface ForeignBundlesOptions {
  /** With files resolved. */
  readonly federations: readonly FederationConfig[];
  readonly stateDir: string;
  readonly onFetched: (result: 'ok' | 'failed') => void;
  readonly log: Logger;
  readonly now: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface FederationStatus {
  readonly trustDomain: TrustDomain;
  readonly url: string;
  /** Of the bundle in force. */
  readonly sequence: number | undefined;
  readonly fetchedMs: number | undefined;
  /** Why the last look brought nothing, and since when that is so. */
  readonly problem?: { readonly message: string; readonly sinceMs: number };
}

export class ForeignBundles {
  readonly name = 'foreign-bundles';
  readonly bundles = new Table<TrustDomain, TrustBundle>('foreign-bundles');
  readonly #options: ForeignBundlesOptions;
  readonly #status = new Map<TrustDomain, FederationStatus>();
  readonly #webRoots = new Map<TrustDomain, string>();

  constructor(options: ForeignBundlesOptions) {
    this.#options = options;
  }

  /** What was good last time, or the operator's own file if that is newer. Throws FILE_ codes. */
  async load(): Promise<void> {
    if (this.#options.federations.length === 0) return;
    await ensurePrivateDir(this.#dir());
    for (const federation of this.#options.federations) {
      const { trustDomain, url } = federation;
      const kept = await this.#kept(trustDomain);
      const given = await this.#given(federation);
      const newest = [kept, given].reduce((a, b) =>
        a === undefined || (b !== undefined && b.sequence > a.sequence) ? b : a,
      );
      if (newest !== undefined) this.bundles.put(trustDomain, newest);
      this.#status.set(trustDomain, {
        trustDomain,
        url,
        sequence: newest?.sequence,
        fetchedMs: undefined,
      });
    }
  }

  status(): readonly FederationStatus[] {
    return [...this.#status.values()];
  }

  run(signal: AbortSignal): Promise<void> {
    const tasks = this.#options.federations.map(federation => ({
      name: federation.trustDomain,
      run: (stop: AbortSignal) => this.#follow(federation, stop),
    }));
    return supervise(tasks, signal);
  }

  async #follow(federation: FederationConfig, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(BUNDLE_RETRY_MS_FIRST, BUNDLE_RETRY_MS_MAX);
    while (!signal.aborted) {
      const waitMs = (await this.#refresh(federation, signal)) ?? backoff.next();
      if (this.#status.get(federation.trustDomain)?.problem === undefined) backoff.reset();
      await (this.#options.sleep ?? sleep)(waitMs, signal);
    }
  }

  /** How long the bundle is good for; undefined when nothing came of it. */
  async #refresh(federation: FederationConfig, signal: AbortSignal): Promise<number | undefined> {
    const { trustDomain, url } = federation;
    const { onFetched, log, now } = this.#options;
    try {
      const document = await fetchBundle(url, this.#proofOf(federation), now, signal);
      const bundle = parseBundleDocument(document, trustDomain);
      await this.#accept(bundle, document);
      onFetched('ok');
      const { sequence, refreshHintSeconds } = bundle;
      this.#status.set(trustDomain, { trustDomain, url, sequence, fetchedMs: now() });
      return Math.min(
        Math.max(refreshHintSeconds * 1000, BUNDLE_REFRESH_MS_MIN),
        BUNDLE_REFRESH_MS_MAX,
      );
    } catch (error) {
      if (!isMeshError(error)) throw error;
      if (signal.aborted) return undefined;
      onFetched('failed');
      this.#failed(trustDomain, messageOf(error));
      log.warn({ error, trustDomain }, 'foreign bundle not taken, keeping the last good one');
      return undefined;
    }
  }

  /** On disk before it is in force: a restart must not bring an older one back. */
  async #accept(bundle: TrustBundle, document: Buffer): Promise<void> {
    const { trustDomain } = bundle;
    const held = this.bundles.get(trustDomain);
    requireSuccessor(held, bundle);
    if (held !== undefined && sameValue(held, bundle)) return;
    const { log } = this.#options;
    try {
      await writeStateFile(this.#file(trustDomain), document);
    } catch (error) {
      // A full disk must not keep a distrusted root in force.
      log.error({ error, trustDomain }, 'foreign bundle not saved');
    }
    const { sequence, x509Authorities } = bundle;
    const roots = x509Authorities.length;
    log.info({ trustDomain, sequence, roots }, 'foreign bundle taken');
    this.bundles.put(trustDomain, bundle);
  }

  #failed(trustDomain: TrustDomain, message: string): void {
    const before = this.#status.get(trustDomain);
    if (before === undefined) return;
    const sinceMs = before.problem?.sinceMs ?? this.#options.now();
    this.#status.set(trustDomain, { ...before, problem: { message, sinceMs } });
  }

  #proofOf(federation: FederationConfig): EndpointProof {
    if (federation.profile === 'https_web') {
      return { profile: 'https_web', roots: this.#webRoots.get(federation.trustDomain) };
    }
    const bundle = this.bundles.get(federation.trustDomain);
    if (bundle === undefined) throw new Error('a federation by SPIFFE ID begins with a bundle');
    return { profile: 'https_spiffe', id: federation.endpointSpiffeId, bundle };
  }

  async #kept(trustDomain: TrustDomain): Promise<TrustBundle | undefined> {
    try {
      const content = await readStateFile(this.#file(trustDomain));
      return content === undefined ? undefined : parseBundleDocument(content, trustDomain);
    } catch (error) {
      if (isMeshError(error, 'FILE_PERMISSIONS')) throw error;
      this.#options.log.error({ error, trustDomain }, 'foreign bundle on disk ignored');
      return undefined;
    }
  }

  /** What the operator put beside the configuration. */
  async #given(federation: FederationConfig): Promise<TrustBundle | undefined> {
    const { trustDomain } = federation;
    if (federation.profile === 'https_spiffe') {
      return read(federation.bundle, content => parseBundleDocument(content, trustDomain));
    }
    if (federation.roots !== undefined) {
      this.#webRoots.set(trustDomain, await read(federation.roots, String));
    }
    return undefined;
  }

  #dir(): string {
    return join(this.#options.stateDir, 'federation');
  }

  #file(trustDomain: TrustDomain): string {
    return join(this.#dir(), `bundle-${trustDomain}`);
  }
}

/**
 * SPIFFE Trust Domain and Bundle §4.1.1: a sequence never goes back, and one number means one bundle. A
 * source that does not number its bundles (which reads as 0) cannot be held to that. Throws PROTOCOL_VIOLATION.
 */
function requireSuccessor(held: TrustBundle | undefined, offered: TrustBundle): void {
  if (held === undefined || (held.sequence === 0 && offered.sequence === 0)) return;
  const claim = `bundle of "${offered.trustDomain}" with sequence ${offered.sequence}`;
  if (offered.sequence < held.sequence) {
    throw new MeshError('PROTOCOL_VIOLATION', `${claim} is older than ${held.sequence}, the known`);
  }
  const unhinted = { ...offered, refreshHintSeconds: held.refreshHintSeconds };
  if (offered.sequence === held.sequence && !sameValue(held, unhinted)) {
    throw new MeshError('PROTOCOL_VIOLATION', `${claim} says something else than the known one`);
  }
}

async function read<T>(file: string, parse: (content: Buffer) => T): Promise<T> {
  try {
    return parse(await readFile(file));
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `"${file}": ${messageOf(cause)}`, { cause });
  }
}

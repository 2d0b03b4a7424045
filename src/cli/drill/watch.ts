/**
 * What the callers' sidecars count, and when that amounts to harm.
 *
 * Totals are read from `istio_requests_total{reporter="source"}` of every sidecar; what happened between
 * two readings is judged. Errors that were there before the drill are not its fault: harm is a share of
 * errors above that by HARM_SHARE, and no fewer than HARM_ERRORS of them.
 */

import { formatAddress, type SocketAddress } from '../../mesh/address.ts';

export interface Totals {
  readonly requests: number;
  /** Answers 500 and above. */
  readonly errors: number;
  /** Answered by the cluster that is being drained. */
  readonly toCluster: number;
}

const HARM_SHARE = 0.01;
const HARM_ERRORS = 3;
const SCRAPE_MS_MAX = 2_000;

export function isHarm(during: Totals, before: Totals): boolean {
  const extra = shareOf(during) - shareOf(before);
  return during.errors >= HARM_ERRORS && extra > HARM_SHARE;
}

export function between(earlier: Totals, later: Totals): Totals {
  // A sidecar that restarted counts from zero again.
  const grown = (a: number, b: number): number => Math.max(0, b - a);
  return {
    requests: grown(earlier.requests, later.requests),
    errors: grown(earlier.errors, later.errors),
    toCluster: grown(earlier.toCluster, later.toCluster),
  };
}

/** A sidecar that does not answer counts nothing: its callers are somebody else's alarm. */
export async function readTotals(
  sidecars: readonly { readonly admin: SocketAddress }[],
  cluster: string,
): Promise<Totals> {
  const each = await Promise.all(
    sidecars.map(async ({ admin }) => {
      try {
        const signal = AbortSignal.timeout(SCRAPE_MS_MAX);
        const response = await fetch(`http://${formatAddress(admin)}/metrics`, { signal });
        return totalsIn(await response.text(), cluster);
      } catch {
        return NOTHING;
      }
    }),
  );
  return each.reduce(add, NOTHING);
}

/** From Prometheus text. */
export function totalsIn(text: string, cluster: string): Totals {
  let totals = NOTHING;
  for (const line of text.split('\n')) {
    const match = /^istio_requests_total\{([^}]*)\} ([0-9.e+]+)$/.exec(line);
    if (match?.[1] === undefined) continue;
    const labels = new Map(
      [...match[1].matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
    );
    if (labels.get('reporter') !== 'source') continue;
    const count = Number(match[2]);
    totals = add(totals, {
      requests: count,
      errors: Number(labels.get('response_code')) >= 500 ? count : 0,
      toCluster: labels.get('destination_cluster') === cluster ? count : 0,
    });
  }
  return totals;
}

const NOTHING: Totals = { requests: 0, errors: 0, toCluster: 0 };

function add(a: Totals, b: Totals): Totals {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    toCluster: a.toCluster + b.toCluster,
  };
}

function shareOf({ requests, errors }: Totals): number {
  return requests === 0 ? 0 : errors / requests;
}

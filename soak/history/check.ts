/**
 * A recorded history against a simple model: at revision r the table holds, for each key, the newest
 * write at or before r. Whatever an importer saw that this does not explain is an anomaly.
 *
 * Pure. A write whose answer was lost may have happened, once or twice, at any time after it was sent;
 * the revisions under which its value was seen say when. Nothing is assumed in an importer's favour
 * beyond that.
 */

import type { Anomaly, Delivery, Guarantee, History, ImporterHistory, Write } from './history.ts';

export function checkHistory(history: History): Anomaly[] {
  const model = modelOf(history);
  return history.importers.flatMap(importer => [
    ...checkDeliveries(importer),
    ...checkSights(importer, model),
  ]);
}

/** To be asked once everything has come to rest: does everybody hold what was written last? */
export function checkConverged(history: History): Anomaly[] {
  const { events, lostDeletes } = modelOf(history);
  const last = new Map(events.map(event => [event.key, event.token]));
  return history.importers.flatMap(importer => {
    const held = heldAtLast(importer);
    return [...last].flatMap(([key, token]): Anomaly[] => {
      const found = held.get(key)?.token;
      if (found === token || (found === undefined && lostDeletes.has(key))) return [];
      const message = `holds ${shown(found)}, the last write was ${shown(token)}`;
      return [{ guarantee: 'converged', importer: importer.name, key, message }];
    });
  });
}

interface ModelEvent {
  readonly revision: bigint;
  readonly key: string;
  readonly token: string | undefined;
}

interface Model {
  /** In the order of their revisions: acknowledged writes, and values seen with their revision. */
  readonly events: readonly ModelEvent[];
  readonly puts: ReadonlyMap<string, Write>;
  /** Deletions without an answer, by key. */
  readonly lostDeletes: ReadonlyMap<string, readonly Write[]>;
}

function modelOf({ writes, importers }: History): Model {
  const puts = new Map<string, Write>();
  const lostDeletes = new Map<string, Write[]>();
  const events = new Map<string, ModelEvent>();
  const note = (event: ModelEvent): void => {
    events.set(`${event.revision} ${event.key}`, event);
  };
  for (const write of writes) {
    if (write.token !== undefined) puts.set(write.token, write);
    if (write.revision !== undefined) note({ ...write, revision: write.revision });
    else if (write.token === undefined) {
      lostDeletes.set(write.key, [...(lostDeletes.get(write.key) ?? []), write]);
    }
  }
  for (const { key, value } of importers.flatMap(({ sights }) => sights.flatMap(s => s.changes))) {
    if (value !== undefined && puts.get(value.token)?.key === key) note({ key, ...value });
  }
  const ascending = [...events.values()].sort((a, b) => (a.revision < b.revision ? -1 : 1));
  return { events: ascending, puts, lostDeletes };
}

function checkSights({ name, sights }: ImporterHistory, model: Model): Anomaly[] {
  const anomalies: Anomaly[] = [];
  const held = new Map<string, { readonly token: string; readonly revision: bigint }>();
  const expected = new Map<string, ModelEvent>();
  const found = (guarantee: Guarantee, key: string | undefined, message: string): void => {
    anomalies.push({ guarantee, importer: name, ...(key === undefined ? {} : { key }), message });
  };
  let at = -1n;
  let next = 0;
  for (const { atMs, revision, changes } of sights) {
    if (revision < at) {
      found('ordered', undefined, `went back from revision ${at} to ${revision}`);
      continue;
    }
    at = revision;
    const touched = new Set<string>();
    for (;;) {
      const event = model.events[next];
      if (event === undefined || event.revision > at) break;
      expected.set(event.key, event);
      touched.add(event.key);
      next += 1;
    }
    for (const { key, value } of changes) {
      touched.add(key);
      if (value === undefined) held.delete(key);
      else held.set(key, value);
    }
    for (const key of touched) {
      const problem = judge(held.get(key), expected.get(key), key, atMs, at, model);
      if (problem !== undefined) found(problem.guarantee, key, problem.message);
    }
  }
  return anomalies;
}

interface Problem {
  readonly guarantee: Guarantee;
  readonly message: string;
}

/** Whether an importer that stands at a revision may hold this. */
function judge(
  held: { readonly token: string; readonly revision: bigint } | undefined,
  expected: ModelEvent | undefined,
  key: string,
  atMs: number,
  at: bigint,
  { puts, lostDeletes }: Model,
): Problem | undefined {
  const last = expected?.token;
  if (held === undefined) {
    if (last === undefined) return undefined;
    if (lostDeletes.get(key)?.some(({ startMs }) => startMs <= atMs) === true) return undefined;
    return { guarantee: 'reliable', message: `at ${at} has nothing, ${shown(last)} was written` };
  }
  const write = puts.get(held.token);
  if (write?.key !== key) {
    return { guarantee: 'nothing phantom', message: `holds ${held.token}, never written there` };
  }
  if (write.startMs > atMs) {
    return { guarantee: 'nothing phantom', message: `held ${held.token} before it was written` };
  }
  if (held.revision > at) {
    return { guarantee: 'ordered', message: `at ${at} holds what was written at ${held.revision}` };
  }
  if (held.token === last) return undefined;
  return {
    guarantee: 'reliable',
    message: `at ${at} holds ${held.token} of ${held.revision}, ${shown(last)} came at ${expected?.revision ?? 0n}`,
  };
}

/** Empty updates (a resume that missed nothing) repeat a revision by right. */
function checkDeliveries({ name, deliveries }: ImporterHistory): Anomaly[] {
  const anomalies: Anomaly[] = [];
  let before: Delivery | undefined;
  for (const delivery of deliveries) {
    const { stream, kind, revision, after, changes } = delivery;
    const first = before?.stream !== stream;
    const floor = first ? after : (before?.revision ?? 0n);
    const found = (guarantee: Guarantee, message: string): void => {
      anomalies.push({ guarantee, importer: name, message });
    };
    if (revision < floor) {
      found(first ? 'resumable' : 'ordered', `was sent ${revision} after ${floor}`);
    } else if (kind === 'changes' && changes > 0 && revision === floor) {
      found('unique', `was sent revision ${revision} twice`);
    }
    before = delivery;
  }
  return anomalies;
}

function heldAtLast({ sights }: ImporterHistory): Map<string, { readonly token: string }> {
  const held = new Map<string, { readonly token: string }>();
  for (const { key, value } of sights.flatMap(({ changes }) => changes)) {
    if (value === undefined) held.delete(key);
    else held.set(key, value);
  }
  return held;
}

function shown(token: string | undefined): string {
  return token ?? 'a deletion';
}

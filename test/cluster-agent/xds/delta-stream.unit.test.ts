/** Every turn a delta stream can take, as tables: what comes in, what goes out. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  next,
  openStream,
  type StreamEvent,
  type StreamOutcome,
  type StreamState,
} from '../../../src/cluster-agent/xds/delta-stream.ts';
import type { Snapshot } from '../../../src/cluster-agent/xds/snapshot.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPE_URLS,
  type ResourceType,
  resourceTypeOf,
} from '../../../src/wire/xds/resource.ts';

type Contents = Partial<Record<ResourceType, Readonly<Record<string, string>>>>;

/** Names and versions by type. */
function snapshot(contents: Contents, complete = true, bytes = 1): Snapshot {
  const types = RESOURCE_ORDER.map(type => {
    const rows = Object.entries(contents[type] ?? {});
    const resources = new Map(
      rows.map(([name, version]) => [name, { name, version, bytes: Buffer.alloc(bytes) }]),
    );
    return [type, { version: JSON.stringify(rows), resources }] as const;
  });
  return { complete, types: Object.fromEntries(types) as unknown as Snapshot['types'] };
}

interface RequestFields {
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  readonly versions?: Readonly<Record<string, string>>;
  readonly nonce?: string;
  readonly error?: string;
}

function request(type: ResourceType | 'other', fields: RequestFields = {}): StreamEvent {
  return {
    kind: 'request',
    request: {
      node: undefined,
      typeUrl: type === 'other' ? 'type.googleapis.com/other' : RESOURCE_TYPE_URLS[type],
      resourceNamesSubscribe: [...(fields.subscribe ?? [])],
      resourceNamesUnsubscribe: [...(fields.unsubscribe ?? [])],
      initialResourceVersions: { ...fields.versions },
      responseNonce: fields.nonce ?? '',
      errorDetail: fields.error === undefined ? undefined : { code: 3, message: fields.error },
    },
  };
}

/** Feeds events; answers in words: `1 cluster +a@1 +b@1 -c`. */
class Conversation {
  state: StreamState;
  outcome: StreamOutcome | undefined;

  constructor(contents: Snapshot) {
    this.state = openStream(contents);
  }

  say(event: StreamEvent): string {
    const step = next(this.state, event);
    this.state = step.state;
    this.outcome = step.outcome;
    if (step.send === undefined) return '';
    const { nonce, typeUrl, resources, removedResources } = step.send;
    return [
      nonce,
      resourceTypeOf(typeUrl),
      ...resources.map(({ name, version }) => `+${name}@${version}`),
      ...removedResources.map(name => `-${name}`),
    ].join(' ');
  }

  show(contents: Contents, complete = true): string {
    return this.say({ kind: 'snapshot', snapshot: snapshot(contents, complete) });
  }
}

describe('a delta stream', () => {
  it('sends everything to who names nothing, and nothing more once it is acknowledged', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1', b: '1' } }));
    expect(talk.say(request('cluster'))).to.equal('1 cluster +a@1 +b@1');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('');
    expect(talk.outcome).to.deep.include({ kind: 'acked', type: 'cluster', refusing: false });
  });

  it('sends only what is named to who names something', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1', b: '1' } }));
    expect(talk.say(request('cluster', { subscribe: ['a'] }))).to.equal('1 cluster +a@1');
  });

  it('says that a name it does not have is not there', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }));
    expect(talk.say(request('cluster', { subscribe: ['a', 'x'] }))).to.equal('1 cluster +a@1');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('2 cluster -x');
    expect(talk.say(request('cluster', { nonce: '2' }))).to.equal('');
    expect(talk.show({ cluster: { a: '1', x: '1' } })).to.equal('3 cluster +x@1');
  });

  it('answers a subscription to nothing, once', () => {
    const talk = new Conversation(snapshot({}));
    expect(talk.say(request('cluster'))).to.equal('1 cluster');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('');
  });

  it('resumes with the versions the proxy has', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1', b: '2' } }));
    const versions = { a: '1', b: '1', c: '1' };
    expect(talk.say(request('cluster', { versions }))).to.equal('1 cluster +b@2');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('2 cluster -c');
  });

  it('adds in order and removes in the opposite one', () => {
    const before = snapshot({ cluster: { a: '1' }, 'load-assignment': { a: '1' } });
    const talk = new Conversation(before);
    expect(talk.say(request('load-assignment'))).to.equal('1 load-assignment +a@1');
    expect(talk.say(request('cluster'))).to.equal('');
    expect(talk.say(request('load-assignment', { nonce: '1' }))).to.equal('2 cluster +a@1');
    expect(talk.say(request('cluster', { nonce: '2' }))).to.equal('');
    const after = { cluster: { b: '1' }, 'load-assignment': { b: '1' } };
    expect(talk.show(after)).to.equal('3 cluster +b@1');
    expect(talk.say(request('cluster', { nonce: '3' }))).to.equal('4 load-assignment +b@1');
    expect(talk.say(request('load-assignment', { nonce: '4' }))).to.equal('5 load-assignment -a');
    expect(talk.say(request('load-assignment', { nonce: '5' }))).to.equal('6 cluster -a');
  });

  it('merges whatever changes while a response is in flight', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }));
    expect(talk.say(request('cluster'))).to.equal('1 cluster +a@1');
    expect(talk.show({ cluster: { a: '2' } })).to.equal('');
    expect(talk.show({ cluster: { a: '3', b: '1' } })).to.equal('');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('2 cluster +a@3 +b@1');
  });

  it('does not send a refused version again, and does send the next', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }));
    talk.say(request('cluster'));
    expect(talk.say(request('cluster', { nonce: '1', error: 'bad a' }))).to.equal('');
    expect(talk.outcome).to.deep.equal({ kind: 'nacked', type: 'cluster', message: 'bad a' });
    expect(talk.show({ cluster: { a: '1', b: '1' } })).to.equal('2 cluster +b@1');
    expect(talk.say(request('cluster', { nonce: '2' }))).to.equal('');
    expect(talk.outcome).to.deep.include({ kind: 'acked', refusing: true });
    expect(talk.show({ cluster: { a: '2', b: '1' } })).to.equal('3 cluster +a@2');
    expect(talk.say(request('cluster', { nonce: '3' }))).to.equal('');
    expect(talk.outcome).to.deep.include({ kind: 'acked', refusing: false });
  });

  it('takes back what was sent and refused, since part of it may be in force', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1', b: '1' } }));
    talk.say(request('cluster'));
    talk.say(request('cluster', { nonce: '1', error: 'bad a' }));
    expect(talk.show({ cluster: { a: '1' } })).to.equal('2 cluster -b');
    expect(talk.say(request('cluster', { nonce: '2' }))).to.equal('');
  });

  it('does not repeat a removal that is refused', () => {
    const talk = new Conversation(snapshot({}));
    talk.say(request('cluster', { versions: { a: '1' } }));
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('2 cluster -a');
    expect(talk.say(request('cluster', { nonce: '2', error: 'no' }))).to.equal('');
  });

  it('counts an answer to another response for its subscriptions alone', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1', b: '1' } }));
    talk.say(request('cluster', { subscribe: ['a'] }));
    expect(talk.say(request('cluster', { nonce: '9', subscribe: ['b'] }))).to.equal('');
    expect(talk.outcome).to.deep.equal({ kind: 'stale-nonce', type: 'cluster' });
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('2 cluster +b@1');
  });

  it('does not take an answer of one type for another', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }));
    talk.say(request('cluster'));
    talk.say(request('secret', { nonce: '1' }));
    expect(talk.outcome).to.deep.equal({ kind: 'stale-nonce', type: 'secret' });
  });

  it('stops sending what is unsubscribed, and sends again what is asked for again', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }));
    talk.say(request('cluster', { subscribe: ['a'] }));
    talk.say(request('cluster', { nonce: '1', unsubscribe: ['a'] }));
    expect(talk.show({ cluster: { a: '2' } })).to.equal('');
    expect(talk.say(request('cluster', { subscribe: ['a'] }))).to.equal('2 cluster +a@2');
    talk.say(request('cluster', { nonce: '2' }));
    expect(talk.say(request('cluster', { subscribe: ['a'] }))).to.equal('3 cluster +a@2');
  });

  it('takes nothing back while the snapshot is not complete', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }, false));
    expect(talk.say(request('cluster', { versions: { b: '1' } }))).to.equal('1 cluster +a@1');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('');
    expect(talk.show({ cluster: { a: '1' } })).to.equal('2 cluster -b');
  });

  it('sends a large snapshot in several responses', () => {
    const large = snapshot({ cluster: { a: '1', b: '1', c: '1' } }, true, 600 * 1024);
    const talk = new Conversation(large);
    expect(talk.say(request('cluster'))).to.equal('1 cluster +a@1');
    expect(talk.say(request('cluster', { nonce: '1' }))).to.equal('2 cluster +b@1');
    expect(talk.say(request('cluster', { nonce: '2' }))).to.equal('3 cluster +c@1');
  });

  it('never answers a type it does not serve', () => {
    const talk = new Conversation(snapshot({ cluster: { a: '1' } }));
    expect(talk.say(request('other'))).to.equal('');
    expect(talk.outcome?.kind).to.equal('unknown-type');
  });

  it('accepts 10,000 subscriptions and not one more', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `n${i}`);
    const talk = new Conversation(snapshot({}));
    talk.say(request('cluster', { subscribe: names }));
    expect(talk.outcome?.kind).to.equal('noted');
    talk.say(request('cluster', { subscribe: ['one-more'] }));
    expect(talk.outcome?.kind).to.equal('too-many-subscriptions');
  });
});

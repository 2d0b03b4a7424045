import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import type { SocketAddress } from '../../../src/mesh/address.ts';
import { Table } from '../../../src/mesh/collection.ts';
import type { ClusterName } from '../../../src/mesh/names.ts';
import type { PathState } from '../../../src/mesh/path.ts';
import { supervise } from '../../../src/runtime/supervise.ts';
import {
  type Path,
  type PathKey,
  PathProber,
  type PathProberOptions,
  pathKey,
} from '../../../src/trust-federation/probes/path-prober.ts';
import { type RunningGateway, TestIdentity, TestMesh } from '../../support/data-plane.ts';
import { eventually } from '../../support/mesh.ts';
import { testSvid } from '../pki.ts';

/** Passes bytes on until it is told to do otherwise. */
class Way {
  mode: 'open' | 'swallow' | 'accept-only' = 'open';
  readonly #to: SocketAddress;
  readonly #sockets = new Set<Socket>();

  constructor(to: SocketAddress) {
    this.#to = to;
  }

  accept(caller: Socket): void {
    this.#sockets.add(caller);
    if (this.mode === 'accept-only') return;
    const onward = connect(this.#to.port, this.#to.host);
    this.#sockets.add(onward);
    onward.on('error', () => caller.destroy());
    onward.on('close', () => caller.destroy());
    caller.on('close', () => onward.destroy());
    caller.on('data', (bytes: Buffer) => this.mode === 'open' && onward.write(bytes));
    onward.on('data', (bytes: Buffer) => this.mode === 'open' && caller.write(bytes));
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe('the prober of paths', () => {
  let mesh: TestMesh;
  let gateway: RunningGateway;
  let stop: AbortController;
  let done: Promise<void>;

  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    gateway = await mesh.gateway('west', '100ms');
    stop = new AbortController();
    done = Promise.resolve();
  });
  afterEach(async () => {
    stop.abort();
    await done;
    await mesh.stop();
  });

  function start(address: SocketAddress, options: Partial<PathProberOptions> = {}) {
    const { trustDomain, bundle } = mesh.authority('west');
    const path: Path = { cluster: 'west' as ClusterName, trustDomain, address };
    const paths = new Table<PathKey, Path>('paths');
    paths.put(pathKey(path), path);
    const gatewayOfEast = 'ns/isthmus-system/sa/east-west-gateway';
    const prober = new PathProber({
      paths,
      identity: new TestIdentity(testSvid(mesh.authority('east'), gatewayOfEast, Date.now())),
      bundles: new Map([[trustDomain, bundle]]),
      handshakeEveryMs: 60_000,
      heardMs: () => undefined,
      now: Date.now,
      random: () => 1,
      ...options,
    });
    done = supervise([prober], stop.signal);
    const state = (): PathState | undefined => prober.states.get(pathKey(path));
    const becomes = (kind: PathState['kind']): Promise<void> =>
      eventually(() => {
        expect(state()?.kind).to.equal(kind);
      });
    return { paths, path, prober, state, becomes };
  }

  it('finds a gateway up, and says what came back and when', async () => {
    const { becomes, prober } = start(gateway.address);
    await becomes('up');
    const [evidence] = prober.evidence();
    expect(evidence?.lastAnswerMs).to.be.closeTo(Date.now(), 60_000);
    expect(evidence?.rttMs).to.be.above(0);
  });

  it('finds a gateway gone', async () => {
    const { becomes, state } = start(gateway.address);
    await becomes('up');
    await gateway.stop();
    await becomes('down');
    expect(state()).to.deep.include({ reason: 'refused' });
  });

  it('takes a connection that broke for no failure while a new one can be made', async () => {
    const way = new Way(gateway.address);
    const { becomes, prober, state } = start(await mesh.application(s => way.accept(s)));
    const seen: string[] = [];
    prober.states.observe(() => seen.push(state()?.kind ?? 'gone'));
    await becomes('up');
    const before = prober.evidence()[0]?.lastAnswerMs ?? 0;
    way.cut();
    await eventually(() => {
      expect(prober.evidence()[0]?.lastAnswerMs).to.be.above(before);
    });
    expect(seen).to.deep.equal(['up']);
  });

  it('finds a way that swallows bytes, and one that accepts and says nothing', async () => {
    const way = new Way(gateway.address);
    const { becomes, state } = start(await mesh.application(s => way.accept(s)));
    await becomes('up');
    way.mode = 'swallow';
    await becomes('down');
    expect(state()).to.deep.include({ reason: 'hung' });
    way.mode = 'open';
    await becomes('held');
    way.mode = 'accept-only';
    await becomes('down');
  });

  it('finds a gateway that keeps old connections and takes no new ones', async () => {
    const way = new Way(gateway.address);
    const address = await mesh.application(s => way.accept(s));
    const { becomes } = start(address, { handshakeEveryMs: 500 });
    await becomes('up');
    way.mode = 'accept-only';
    await becomes('down');
  });

  it('lets calls that come back speak for a path whose probe failed', async () => {
    const way = new Way(gateway.address);
    let asked = 0;
    const { becomes, prober, state } = start(await mesh.application(s => way.accept(s)), {
      heardMs: () => {
        asked++;
        return Date.now() + 1;
      },
    });
    await becomes('up');
    way.mode = 'swallow';
    const before = asked;
    // Each failed probe asks once; evidence() is not called here.
    await eventually(() => {
      expect(asked).to.be.above(before + 1);
    });
    expect(state()?.kind).to.equal('up');
    expect(prober.evidence()).to.have.length(1);
  });

  it('probes nobody whom no bundle vouches for, and knows nothing of it', async () => {
    const { state, prober } = start(gateway.address, { bundles: new Map() });
    await new Promise(setImmediate);
    expect(state()?.kind).to.equal('unknown');
    expect(prober.evidence()[0]?.lastAnswerMs).to.equal(undefined);
  });

  it('forgets a path that is no longer its own', async () => {
    const { becomes, paths, path, prober } = start(gateway.address);
    await becomes('up');
    paths.delete(pathKey(path));
    expect(prober.evidence()).to.have.length(0);
    expect(prober.states.entries().size).to.equal(0);
  });
});

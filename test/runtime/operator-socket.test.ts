import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { MeshError } from '../../src/mesh/errors.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { operatorSocket } from '../../src/runtime/operator-socket.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { rpcService } from '../../src/runtime/rpc-server.ts';
import type { RpcSocket } from '../../src/runtime/rpc-socket.ts';
import { AgentOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/agent.ts';

const { describe: describeMethod } = AgentOperatorDefinition.methods;
const definition = { ...AgentOperatorDefinition, methods: { describe: describeMethod } };
const service = rpcService(definition, {
  describe: () => Promise.resolve({ cluster: 'east', trustDomain: 'east.example' }),
});

describe('operator socket', () => {
  let dir: string;
  let stop: AbortController;
  let running: Promise<void>[];

  const open = async (): Promise<RpcSocket> => {
    const socket = operatorSocket(dir, [service], createLogger('test'));
    await socket.listen();
    running.push(socket.run(stop.signal));
    return socket;
  };

  const describeOver = async (socketPath: string): Promise<string> => {
    const channel = new RpcChannel(AgentOperatorDefinition, { socketPath });
    try {
      const answer = await channel.unary(AgentOperatorDefinition.methods.describe, {});
      return answer.cluster;
    } finally {
      channel.close();
    }
  };

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'isthmus-operator-'));
    stop = new AbortController();
    running = [];
  });

  afterEach(async () => {
    stop.abort();
    await Promise.all(running);
    rmSync(dir, { recursive: true });
  });

  it('answers whoever may open the file, and only its owner may', async () => {
    const { path } = await open();
    expect(await describeOver(path)).to.equal('east');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('takes over the file of a process that is gone', async () => {
    writeFileSync(join(dir, 'operator.sock'), '');
    const { path } = await open();
    expect(await describeOver(path)).to.equal('east');
  });

  it('leaves the file to a process that serves it', async () => {
    const { path } = await open();
    const second = operatorSocket(dir, [service], createLogger('test'));
    const refusal: unknown = await second.listen().catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(MeshError).with.property('code', 'STATE_LOCKED');
    expect(await describeOver(path)).to.equal('east');
  });

  it('refuses a path that the system would cut off', async () => {
    const socket = operatorSocket(join(dir, 'x'.repeat(120)), [service], createLogger('test'));
    const refusal: unknown = await socket.listen().catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(MeshError).with.property('code', 'FILE_UNREADABLE');
  });

  it('ends with its process, open connections included', async () => {
    const { path } = await open();
    const channel = new RpcChannel(AgentOperatorDefinition, { socketPath: path });
    await channel.unary(AgentOperatorDefinition.methods.describe, {});
    stop.abort();
    await Promise.all(running);
    channel.close();
    const refusal: unknown = await describeOver(path).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(MeshError).with.property('code', 'PEER_UNAVAILABLE');
  });
});

/** Callers that hold idle connections through a gateway. */

import { connect, type Socket } from 'node:net';
import { sleep } from '../../src/runtime/supervise.ts';
import type { GatewayLoad } from './gateway-load.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';

/** Connections being set up at once, while thousands are opened. */
const OPENING_MAX = 64;
/** So many that could not be opened, and the rest need not be tried. */
const FAILED_MAX = 100;
/** Loopback addresses that callers come from, in turn: gateways bound the connections of one source. */
const SOURCES = Array.from({ length: 16 }, (_, index) => `127.0.1.${index + 1}`);
const CHECK_ONE_IN = 100;

/** Opens them all, holds them, then has an answer through one in a hundred. */
export async function runIdle(job: GatewayLoad, hello: Buffer): Promise<LoadOutcome> {
  const held: Socket[] = [];
  let closed = 0;
  let failed = 0;
  let next = 0;
  const opener = async (): Promise<void> => {
    while (next < job.connections && failed < FAILED_MAX) {
      const socket = await openThrough(job, hello, next++);
      if (socket === undefined) {
        failed += 1;
        continue;
      }
      socket.once('close', () => (closed += 1));
      held.push(socket);
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, opener));
  await sleep(job.measureMs);
  const silent = (
    await Promise.all(held.filter((_, index) => index % CHECK_ONE_IN === 0).map(answers))
  ).filter(answered => !answered).length;
  return {
    count: held.length,
    figures: { held: held.length - closed },
    failure: failureOf('idle', held.length, { 'not opened': failed, closed, silent }),
  };
}

const ANSWER_WITHIN_MS = 5_000;

/** Resolves with the socket once the endpoint has answered through the gateway. */
async function openThrough(
  job: GatewayLoad,
  hello: Buffer,
  turn: number,
): Promise<Socket | undefined> {
  const localAddress = SOURCES[turn % SOURCES.length];
  const socket = connect({
    ...job.entry,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  socket.on('error', () => undefined); // Seen as no answer, or as closed.
  socket.write(hello);
  if (await answered(socket)) return socket;
  socket.destroy();
  return undefined;
}

function answers(socket: Socket): Promise<boolean> {
  if (socket.destroyed) return Promise.resolve(false);
  socket.write('x');
  return answered(socket);
}

function answered(socket: Socket): Promise<boolean> {
  return new Promise(resolve => {
    const finish = (result: boolean): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      resolve(result);
    };
    const onData = (): void => finish(true);
    const onClose = (): void => finish(false);
    const timer = setTimeout(finish, ANSWER_WITHIN_MS, false);
    socket.on('data', onData).on('close', onClose).resume();
  });
}

/**
 * The wall clock without its steps backwards, for judging what is valid and when to renew.
 *
 * A clock that is set back an hour (by NTP, a restored virtual machine, a hand) must not make every
 * certificate of the last hour "not valid yet", nor put off a renewal by an hour. Steps forward are
 * followed at once; after a step back, time goes on from where it was.
 */

export function steadyClock(
  wall: () => number,
  monotonic: () => number = () => performance.now(),
): () => number {
  let latestMs = wall();
  let atMs = monotonic();
  return () => {
    const elapsedMs = monotonic() - atMs;
    latestMs = Math.max(wall(), latestMs + elapsedMs);
    atMs += elapsedMs;
    return latestMs;
  };
}

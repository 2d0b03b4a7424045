/** What the gateway bounds, and what happens at the bound. Sizes of a ClientHello: wire/client-hello.ts. */

/** From accept to a whole ClientHello; then the connection is closed. */
export const HELLO_TIMEOUT_MS = 5_000;
/** Open connections; the next one is reset. */
export const CONNECTIONS_MAX = 10_000;
/** Open connections from one address; the next one is reset. High enough for many sidecars behind one NAT. */
export const CONNECTIONS_PER_SOURCE_MAX = 2_000;
/** To the endpoint's sidecar; then the caller's connection is closed and it tries another endpoint. */
export const ENDPOINT_CONNECT_TIMEOUT_MS = 1_000;
/** TCP keep-alive, so a peer that vanished does not hold its connection for ever. */
export const KEEP_ALIVE_MS = 30_000;
/** So often the kernel is asked for it, for connections that it was not asked for yet: most end before. */
export const KEEP_ALIVE_EVERY_MS = 10_000;
/** Of one read of a connection that is not busy; the rest is read next. */
export const READ_BYTES = 16 * 1024;
/** Of one read of a direction whose last read was full. */
export const BULK_READ_BYTES = 256 * 1024;
/** Buffers of BULK_READ_BYTES kept for reuse by the process; further ones are left to the garbage collector. */
export const BULK_BUFFERS_MAX = 16;
/** Probe connections open at once; the next one is closed. */
export const PROBES_MAX = 1_000;
/** Handshakes of probes that one address may begin, a second and at once; the next one is closed. */
export const PROBES_PER_SECOND_MAX = 50;
export const PROBES_BURST_MAX = 200;
/** The same of all addresses together: what probing may cost this process. */
export const ALL_PROBES_PER_SECOND_MAX = 200;
export const ALL_PROBES_BURST_MAX = 500;
/** Addresses remembered for that; when all of them are busy a new one is refused. */
export const PROBE_SOURCES_MAX = 10_000;
/** A probe of another gateway goes over a new connection at least this often; in between over the old one. */
export const PROBE_HANDSHAKE_EVERY_MS = 5_000;
/** How long a stop waits for open connections unless `drain` says otherwise; then they are cut. */
export const DRAIN_MS = 10_000;
/** Taps open at once; the next one is answered 429. */
export const TAPS_MAX = 2;
/** Of one tap; more is refused with 400. */
export const TAP_BYTES_MAX = 4 * 1024 * 1024;
export const TAP_DURATION_MAX_MS = 60_000;

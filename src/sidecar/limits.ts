/**
 * What the sidecar bounds, and what happens at the bound. Heads, bodies, frames, windows and floods have
 * theirs in wire/http1/limits.ts and wire/http2/limits.ts.
 */

// HTTP/1.1, both directions.
/** From the first byte of a connection or a request to the end of its head; then 408. */
export const HEADERS_TIMEOUT_MS = 15_000;
/** A connection or stream between two requests; then it is ended. */
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** How long what a refused client still sends is read and dropped; then its connection is reset. */
export const LINGER_MS = 2_000;
/** Interim (1xx) answers to one request; more is an answer that makes no sense, 502. */
export const INTERIM_RESPONSES_MAX = 16;
/** Of a request's body, kept while no answer has come; a request with more is not sent elsewhere. */
export const REPLAY_BYTES_MAX = 64 * 1024;
/** Timeouts of connections and deadlines of requests are looked at this often. */
export const SWEEP_MS = 100;

// Outbound.
/** Connections of the application to one outbound listener; the next one is closed. */
export const OUTBOUND_CONNECTIONS_MAX = 10_000;
/** Endpoints or addresses tried for one call; then 503, or 502 when it may have reached an application. */
export const ATTEMPTS_MAX = 3;
/** TCP connect to a sidecar or gateway; then the attempt has failed. */
export const CONNECT_TIMEOUT_MS = 1_000;
/** TCP connect and TLS handshake together; then the attempt has failed. */
export const HANDSHAKE_TIMEOUT_MS = 3_000;
/** The other sidecar's answer to CONNECT; then the attempt has failed and the session gets no more calls. */
export const CONNECT_ANSWER_TIMEOUT_MS = 3_000;
/** A ping on each session this often, unless one is unanswered. */
export const SESSION_PING_MS = 500;
/** Times in a row that nothing was heard on a session while a ping waits: 2 s; then it is closed. */
export const SESSION_SILENT_TICKS = 4;
/** A session without a stream; then it is ended. */
export const SESSION_IDLE_MS = 60_000;
/** A probe of a gateway goes over a new connection at least this often; sessions tell the rest. */
export const PROBE_HANDSHAKE_EVERY_MS = 30_000;
/** A gateway that leads to nothing called for this long is no longer probed. */
export const PATH_USED_MS = 60_000;
/** What is in use is looked at this often. */
export const PATHS_LOOK_MS = 1_000;
/** Streams of one session that wait for their next exchange, for each authority; one more is ended. */
export const IDLE_STREAMS_MAX = 256;
/**
 * A stream waiting for its next exchange; then it is ended. Shorter than KEEP_ALIVE_TIMEOUT_MS, after which
 * the far side ends it: an exchange must not begin on a stream that is being ended.
 */
export const IDLE_STREAM_TIMEOUT_MS = 30_000;

/** Time left to a request for a repeated try to be worth its while; with less it waits for the first. */
export const REPEAT_LEFT_MS_MIN = 50;
/** Without an answer to a request that is not tried elsewhere; then it counts against the endpoint. */
export const HUNG_MS = 6_000;
/** A deadline that a request may ask for (a day); more is taken as this. */
export const TIMEOUT_MS_MAX = 86_400_000;
/** Ejections, slow starts and trials are looked at this often. */
export const HEALTH_TICK_MS = 250;
/** Trials of what is out of service at once; the others wait. */
export const TRIALS_MAX = 8;

// Inbound.
/** TLS connections from other sidecars; the next one is closed. */
export const INBOUND_CONNECTIONS_MAX = 2_000;
/** From accept to a verified peer; then the connection is closed. */
export const INBOUND_HANDSHAKE_TIMEOUT_MS = 5_000;
/** Connect to the application; then the CONNECT is answered 503, or the request given back. */
export const APPLICATION_CONNECT_TIMEOUT_MS = 1_000;
/**
 * A connection to the application is used again only this long after its last answer: servers close idle
 * ones (Node's after 5 s), and a request that meets the close on its way is lost.
 */
export const APPLICATION_REUSE_MS = 2_000;
/** Of one read of a connection of or to the application; the rest is read next. */
export const READ_BYTES = 128 * 1024;
/** What is larger waits for what follows in a row within its event-loop turn, and leaves with it in one write. */
export const GATHERED_BYTES_MIN = 8 * 1024;
/** Buffers of READ_BYTES kept for reuse by the process; further ones are left to the garbage collector. */
export const BULK_BUFFERS_MAX = 32;

// The tunnel, both ends.
/** A full TLS record: what one read of a tunnel gives, and what a write need not be gathered beyond. */
export const RECORD_BYTES = 16 * 1024;
/** From our end of a channel or connection to the peer's; then it is reset. */
export const END_TIMEOUT_MS = 3_000;

// The process.
/** How long a stop waits for calls in flight unless `drain` says otherwise; then they are cut. */
export const DRAIN_MS = 10_000;
/** Distinct label sets of the request metrics; further ones are counted under "other". */
export const METRIC_SERIES_MAX = 500;

/** JWT-SVIDs kept for half their life, by audience; beyond: the one fetched longest ago is forgotten. */
export const JWT_SVIDS_CACHED_MAX = 100;

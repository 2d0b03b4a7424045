/** What the sidecar bounds, and what happens at the bound. */

// HTTP/1.1 heads, both directions.
/** Header fields of one message; more is answered 431 (M9: Node drops what is over its own limit). */
export const HEADER_FIELDS_MAX = 100;
/** Request line and header fields together; more is answered 431. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** From the first byte of a request to the end of its head; then 408. */
export const HEADERS_TIMEOUT_MS = 15_000;
/** An idle keep-alive connection of the application; then it is closed. */
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;

// Outbound.
/** Connections of the application to one outbound listener; the next one is closed. */
export const OUTBOUND_CONNECTIONS_MAX = 10_000;
/** Endpoints or addresses tried for one call while nothing of it has reached an application; then 503. */
export const ATTEMPTS_MAX = 3;
/** TCP connect to a sidecar or gateway; then the attempt has failed. */
export const CONNECT_TIMEOUT_MS = 1_000;
/** TCP connect and TLS handshake together; then the attempt has failed. */
export const HANDSHAKE_TIMEOUT_MS = 3_000;
/** The other sidecar's answer to CONNECT; then the attempt has failed and the session gets no more calls. */
export const CONNECT_ANSWER_TIMEOUT_MS = 3_000;
/** A ping on each session this often; one not answered before the next closes the session. */
export const SESSION_PING_MS = 5_000;

// Inbound.
/** TLS connections from other sidecars; the next one is closed. */
export const INBOUND_CONNECTIONS_MAX = 2_000;
/** From accept to a verified peer; then the connection is closed. */
export const INBOUND_HANDSHAKE_TIMEOUT_MS = 5_000;
/** Open CONNECT streams of one connection; the next one is refused (RST_STREAM) and tried elsewhere. */
export const STREAMS_PER_CONNECTION_MAX = 1_000;
/** Decoded header list of one CONNECT; more ends the connection. */
export const HEADER_LIST_BYTES_MAX = 8 * 1024;
/** Connect to the application; then the CONNECT is answered 503. */
export const APPLICATION_CONNECT_TIMEOUT_MS = 1_000;

// HTTP/2, both ends.
/** Unread bytes held for one stream; then its sender waits. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/** Bytes in flight on one session; unread ones count towards their stream only. */
export const SESSION_WINDOW_BYTES = 4 * 1024 * 1024;

// The process.
/** How long a stop waits for calls in flight unless `drain` says otherwise; then they are cut. */
export const DRAIN_MS = 10_000;
/** Distinct label sets of the request metrics; further ones are counted under "other". */
export const METRIC_SERIES_MAX = 500;

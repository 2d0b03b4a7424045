/** What the HTTP/2 layer bounds, and what happens at the bound. */

// Frames and header blocks.
/** Payload of one frame, sent or received (RFC 9113 §4.2's smallest maximum); more is FRAME_SIZE_ERROR. */
export const FRAME_PAYLOAD_BYTES_MAX = 16 * 1024;
/** Encoded header block over all its frames; more ends the connection (ENHANCE_YOUR_CALM). */
export const HEADER_BLOCK_BYTES_MAX = 16 * 1024;
/** CONTINUATION frames of one header block; more end the connection (ENHANCE_YOUR_CALM). */
export const CONTINUATIONS_MAX = 8;
/** Decoded header list, counted as RFC 9113 §6.5.2 does; more ends the connection (ENHANCE_YOUR_CALM). */
export const HEADER_LIST_BYTES_MAX = 16 * 1024;
/** Fields of one decoded header list; more end the connection (ENHANCE_YOUR_CALM). */
export const HEADER_FIELDS_MAX = 100;
/** HPACK dynamic table kept for a peer's encoder; a larger size update is COMPRESSION_ERROR. */
export const HEADER_TABLE_BYTES_MAX = 4 * 1024;
/** Of a peer's GOAWAY debug data that is handed on; the rest is dropped. */
export const GOAWAY_REASON_BYTES_MAX = 256;

// Streams.
/** Streams open at once on a connection: a peer's next one is refused (REFUSED_STREAM), ours not opened. */
export const STREAMS_MAX = 1_000;
/** Streams we open before a peer has said how many it takes; then `openStream` gives none. */
export const STREAMS_BEFORE_SETTINGS_MAX = 100;

// Receiving: a peer that sends beyond a window ends the connection (FLOW_CONTROL_ERROR).
/** Bytes of one stream received and not consumed; then its sender waits. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/** Bytes of a connection in flight towards us; announced again on receipt, so unread ones do not count. */
export const CONNECTION_WINDOW_BYTES = 2 * 1024 * 1024;
/** Bytes of all streams received and not consumed; near it every stream of the connection waits. */
export const CONNECTION_UNREAD_BYTES_MAX = 8 * 1024 * 1024;

// Sending: a write beyond these is not accepted, and the stream hears `onWritable` later.
/** DATA of one stream waiting to be taken, and so what it has in a turn; the next is another's. */
export const STREAM_OUTPUT_BYTES_MAX = 128 * 1024;
/** Output waiting to be taken, beyond which no DATA is added, unless it is short. */
export const OUTPUT_DATA_BYTES_MAX = 256 * 1024;
/** What is no longer than this is short: it has room in an output that bulk has filled. */
export const SHORT_BYTES_MAX = FRAME_PAYLOAD_BYTES_MAX;
/** For what is short, beyond OUTPUT_DATA_BYTES_MAX. */
export const OUTPUT_SHORT_BYTES_MAX = 48 * 1024;
/** Output waiting to be taken after a receive; only a peer that asks and never reads gets here, and is cut. */
export const OUTPUT_BYTES_MAX = 512 * 1024;
/** Output buffers: the DATA that one output may have, with its frame headers; more output doubles them. */
export const SLAB_BYTES = 320 * 1024;
/** Output buffers kept for reuse by one process; further ones are left to the garbage collector. */
export const SPARE_SLABS_MAX = 4;

// Floods: an empty budget ends the connection (ENHANCE_YOUR_CALM).
/**
 * Streams a peer may cut short, refuse or make us reset, at once and per second (CVE-2023-44487,
 * CVE-2025-8671). Room for a few thousand honest callers of one sidecar that give up together.
 */
export const RESETS_BURST = 5_000;
export const RESETS_PER_SECOND = 1_000;
/** Frames that carry nothing for an application, at once and per second (CVE-2019-9512 and its kin). */
export const IDLE_FRAMES_BURST = 10_000;
export const IDLE_FRAMES_PER_SECOND = 1_000;
/** Frames of that kind a peer earns with each DATA frame we send: it has to answer them with windows. */
export const IDLE_FRAMES_PER_DATA_FRAME = 10;
/** What one SETTINGS frame costs of them: each may move the window of every stream. */
export const SETTINGS_COST = 10;

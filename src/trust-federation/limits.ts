/** What peers can make this folder read. Beyond any of these the chain or the request is refused. */

/** Leaf, three intermediates, and a root that need not have been sent. */
export const CHAIN_CERTIFICATES_MAX = 5;
export const CERTIFICATE_BYTES_MAX = 16_384;
/** Of peers that were accepted, kept as they were read; beyond: the one used longest ago is read anew. */
export const VOUCHED_CERTIFICATES_MAX = 256;
export const CSR_BYTES_MAX = 16_384;
/** Certificates and CSRs need nine levels; recursion stops here whatever a peer sends. */
export const DER_DEPTH_MAX = 24;

/** The bundle document a cluster publishes; what would make it longer is refused with LIMIT_EXCEEDED. */
export const OWN_BUNDLE_BYTES_MAX = 64 * 1024;
/** Intermediates whose certificates may be alive; beyond: those of the oldest are renewed early. */
export const ISSUERS_MAX = 100;
/** Revoked roots remembered, without their keys. */
export const REVOKED_ROOTS_MAX = 10;

/** Kinds of refused peers shown under /debug/refusals; beyond: the one seen longest ago is forgotten. */
export const REFUSED_PEERS_MAX = 100;
/** A JWT-SVID that anyone presents. */
export const JWT_SVID_CHARS_MAX = 16_384;

/** Credentials that somebody else renews are looked at this often. */
export const CREDENTIALS_POLL_MS = 2_000;
/** One ping of a probe and its echo: more than a packet each way, so that a path that loses big ones shows. */
export const PROBE_BYTES = 4_096;
/** Echoed on one probe connection; then it is closed, and its caller makes another. */
export const PROBE_ECHO_BYTES_MAX = 512 * 1024;
/** A probe connection, however busy; then it is closed. */
export const PROBE_LIFE_MS_MAX = 120_000;
/** A probe connection between two pings; then it is closed. */
export const PROBE_IDLE_MS_MAX = 15_000;
/** From a probe's ClientHello to a verified peer; then it is closed. */
export const PROBE_ACCEPT_MS_MAX = 3_000;
/** From one answer on a path to the next question, less up to a quarter. */
export const PROBE_INTERVAL_MS = 1_000;
/** For the echo of a ping; then a new connection is tried. */
export const PROBE_ANSWER_MS_MAX = 900;
/** For a new connection of a probe, handshake included; then the path is down. */
export const PROBE_HANDSHAKE_MS_MAX = 1_100;
/** An observer that stood still for longer forgets what it was waiting for. */
export const PROBE_STALL_MS = 300;
/** Paths that one proxy probes; further ones are not, and nothing is known of them. */
export const PROBED_PATHS_MAX = 200;
/** Of a workload's certificate, as configured. */
export const WORKLOAD_TTL_MS_MAX = 24 * 3_600_000;
/** Of a workload's certificate, where nothing is configured. */
export const WORKLOAD_TTL_MS_DEFAULT = 3_600_000;

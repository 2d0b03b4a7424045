/** What peers can make this folder read. Beyond any of these the chain or the request is refused. */

/** Leaf, three intermediates, and a root that need not have been sent. */
export const CHAIN_CERTIFICATES_MAX = 5;
export const CERTIFICATE_BYTES_MAX = 16_384;
export const CSR_BYTES_MAX = 16_384;
/** Certificates and CSRs need nine levels; recursion stops here whatever a peer sends. */
export const DER_DEPTH_MAX = 24;

/** The bundle document a cluster publishes; what would make it longer is refused with LIMIT_EXCEEDED. */
export const OWN_BUNDLE_BYTES_MAX = 64 * 1024;
/** Intermediates whose certificates may be alive; beyond: those of the oldest are renewed early. */
export const ISSUERS_MAX = 100;
/** Revoked roots remembered, without their keys. */
export const REVOKED_ROOTS_MAX = 10;

/** One ping of a probe and its echo: more than a packet each way, so that a path that loses big ones shows. */
export const PROBE_BYTES = 4_096;
/** Echoed on one probe connection; then it is closed, and its caller makes another. */
export const PROBE_ECHO_BYTES_MAX = 512 * 1024;
/** A probe connection, however busy; then it is closed. */
export const PROBE_LIFE_MS_MAX = 120_000;
/** A probe connection between two pings; then it is closed. */
export const PROBE_IDLE_MS_MAX = 15_000;
/** From a probe's ClientHello to a verified peer; then it is closed. */
export const PROBE_HANDSHAKE_MS_MAX = 3_000;

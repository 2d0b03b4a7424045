/** Every bound of the agent, with what happens when it is reached. */

/** A proxy's join token; longer ones are unknown. */
export const JOIN_TOKEN_CHARS_MAX = 128;
/** Certificates and JWT-SVIDs of one identity, which many replicas share; beyond: LIMIT_EXCEEDED, retried. */
export const SIGN_PER_IDENTITY = { perSecond: 50, burst: 500, callersMax: 20_000 };
/** Attempts to redeem, of everybody and of one address; beyond: LIMIT_EXCEEDED, retried. */
export const REDEEM_PER_SECOND_MAX = 200;
export const REDEEM_BURST_MAX = 2_000;
export const REDEEM_PER_ADDRESS = { perSecond: 20, burst: 500, callersMax: 10_000 };
/** Join tokens, used or expired, are forgotten this long after they could be used. */
export const JOIN_TOKEN_KEPT_MS = 86_400_000;
/** A Kubernetes service account token; longer ones are unknown. */
export const SERVICE_ACCOUNT_TOKEN_BYTES_MAX = 16_384;
/** The API server's answer to a TokenReview; a longer one, or none in time: PEER_UNAVAILABLE, retried. */
export const TOKEN_REVIEW_BYTES_MAX = 64 * 1024;
export const TOKEN_REVIEW_MS_MAX = 5_000;
/** Audiences of one JWT-SVID, and the length of each; beyond: REQUEST_INVALID. */
export const JWT_AUDIENCES_MAX = 16;
export const JWT_AUDIENCE_CHARS_MAX = 512;
/** Refusals shown at /debug/audit; older ones are in the log alone. */
export const AUDIT_EVENTS_MAX = 500;

/** Connections of one port; beyond: closed at accept. */
export const CONTROL_CONNECTIONS_MAX = 5_000;
export const JOIN_CONNECTIONS_MAX = 500;
/** A TLS handshake that takes longer is cut. */
export const HANDSHAKE_MS_MAX = 5_000;
/** For running calls when the agent stops; then they are cut. */
export const STOP_GRACE_MS = 1_000;

/** Proxies remembered, connected or not; beyond: the one gone longest is forgotten. */
export const PROXIES_MAX = 5_000;
/** A proxy reports this often, and at once when its certificate or a bundle changes. */
export const REPORT_INTERVAL_MS = 2_000;
/** Bundles of one report; beyond: LIMIT_EXCEEDED. */
export const REPORT_BUNDLES_MAX = 1_000;
/** Paths of one report; beyond: LIMIT_EXCEEDED. */
export const REPORT_PATHS_MAX = 1_000;
/** A report older than this says nothing of the paths any more. */
export const REPORT_FRESH_MS = 8_000;
/** Liveness is judged this often, and when a signal changes. */
export const LIVENESS_TICK_MS = 1_000;
/** Names one stream may subscribe to; beyond: the stream ends with LIMIT_EXCEEDED. */
export const SUBSCRIPTIONS_MAX = 10_000;
/** Requests of one stream waiting to be handled; beyond: the stream ends with LIMIT_EXCEEDED. */
export const STREAM_REQUESTS_MAX = 64;
/** Resources of one response; more go in the next one, for a proxy serves nobody while it reads one. A single larger resource goes alone. */
export const RESPONSE_BYTES_MAX = 256 * 1024;

/** Ports of one service; more are a configuration error. */
export const SERVICE_PORTS_MAX = 32;
/** Services and policies files are looked at this often, and read once they stayed the same for one look. */
export const FILE_POLL_MS = 500;
/** Groups of one failover policy, which are priorities; more are a configuration error. */
export const FAILOVER_GROUPS_MAX = 16;

/** Asked of the registry; silence longer than this makes the cluster stale for the others. */
export const LEASE_TTL_MS = 10_000;
/** Records of one publication. */
export const PUBLICATION_RECORDS_MAX = 50;
/** Between attempts to reach the registry, or the agent. */
export const RECONNECT_FIRST_MS = 200;
export const RECONNECT_MAX_MS = 5_000;

/** Between attempts to renew the membership, which is done half a year before it must be. */
export const MEMBERSHIP_RETRY_MS_MAX = 3_600_000;
/** How often it is summed up what the proxies verify with. */
export const ACKS_DELAY_MS = 200;
/** How often a rollover that goes on by itself looks at its gate. */
export const ROLLOVER_CHECK_MS = 250;
/** Certificates remembered as alive; beyond: the oldest is forgotten, and draining waits until it expires. */
export const LEDGER_ENTRIES_MAX = 50_000;
/** From a change of that list to its write to disk. */
export const LEDGER_SAVE_DELAY_MS = 5_000;

/** How long proxies are told of an endpoint or service that it was taken back. */
export const WITHDRAWN_MS = 60_000;
/** Endpoints of one service so remembered; beyond: the oldest are forgotten. */
export const WITHDRAWN_ENDPOINTS_MAX = 1_000;

/** Connections to the bundle endpoint, which anyone may open; beyond: closed at accept. */
export const BUNDLE_ENDPOINT_CONNECTIONS_MAX = 100;
/** A request to it that is not complete by then is cut. */
export const BUNDLE_ENDPOINT_REQUEST_MS_MAX = 5_000;
/** Certificate and key of a bundle endpoint for the web are looked at this often. */
export const WEB_CERTIFICATE_POLL_MS = 30_000;
/** Foreign trust domains; more are a configuration error. */
export const FEDERATIONS_MAX = 100;
/** One look at a foreign bundle endpoint; then it has failed and the last good bundle stays. */
export const BUNDLE_FETCH_MS_MAX = 10_000;
/** A foreign refresh hint outside these counts as the nearest of them. */
export const BUNDLE_REFRESH_MS_MIN = 10_000;
export const BUNDLE_REFRESH_MS_MAX = 3_600_000;
/** Between attempts to fetch a foreign bundle. */
export const BUNDLE_RETRY_MS_FIRST = 1_000;
export const BUNDLE_RETRY_MS_MAX = 60_000;

/** From a change to its write to disk. */
export const LAST_KNOWN_GOOD_DELAY_MS = 500;
/** From believing another version of a bundle to its write to disk: a crash in between forgets it. */
export const TRUST_MEMORY_DELAY_MS = 20;

/** Services of one report of a sidecar; more: LIMIT_EXCEEDED. */
export const REPORT_LOADS_MAX = 64;
/** Loads are looked at this often: those of our endpoints, and what spills for those of all. */
export const LOAD_LOOK_MS = 1_000;
/** Of a sidecar's reports; then its load is not known. */
export const REPORT_SILENCE_MS = 10_000;

/** Every bound of the registry, with its unit and what happens when it is reached. */

/** Puts and deletes of one Publish; LIMIT_EXCEEDED. etcd refuses transactions of more than 128. */
export const PUBLISH_RECORDS_MAX = 100;
/** Encoded records of one Publish; LIMIT_EXCEEDED. etcd refuses requests above 1.5 MiB. */
export const PUBLISH_BYTES_MAX = 1024 * 1024;
/** Records of one cluster, all kinds; LIMIT_EXCEEDED. All endpoints in slices of ten, of all services. */
export const CLUSTER_RECORDS_MAX = 10_000;
/** Services that one cluster exports; LIMIT_EXCEEDED. */
export const CLUSTER_SERVICES_MAX = 4_000;
/** Endpoints that one cluster exports; LIMIT_EXCEEDED. */
export const CLUSTER_ENDPOINTS_MAX = 50_000;
/** Records of one cluster, as stored; LIMIT_EXCEEDED. Forty such clusters fit etcd's 2 GiB with its history. */
export const CLUSTER_BYTES_MAX = 16 * 1024 * 1024;
/** Publishes of one cluster to one registry process; LIMIT_EXCEEDED. Room for a first publication of everything. */
export const PUBLISHES_PER_SECOND_MAX = 100;
export const PUBLISHES_BURST_MAX = 500;
/** One cluster's bundle and its predecessors; LIMIT_EXCEEDED. Nine documents and their signatures fit. */
export const BUNDLE_RECORD_BYTES_MAX = 800 * 1024;

/** Leases outside these are granted the nearest of them. */
export const LEASE_TTL_MS_MIN = 1_000;
export const LEASE_TTL_MS_MAX = 300_000;

/** An expiry noticed later than this means that the embedded store itself had stood still. */
export const LEASE_STALL_MS_MAX = 1_000;

/** Recent changes kept for resuming watches; who needs older ones gets a ReplaceAll. */
export const HISTORY_REVISIONS_MAX = 4_096;
export const HISTORY_BYTES_MAX = 32 * 1024 * 1024;

/** A subscriber with heartbeats hears something at least this often. */
export const WATCH_HEARTBEAT_MS = 10_000;
/** How long a subscriber that has seen more than this process waits for it to catch up; then it is sent away. */
export const RESUME_AHEAD_MS_MAX = 2_000;

/** The copy is compared with the store this often, more seldom the longer it takes: at most a CHECK_SHARE-th of the time. */
export const CHECK_MS_MIN = 5_000;
export const CHECK_MS_MAX = 60_000;
export const CHECK_SHARE = 20;
/** What the watch may still bring after the store's index has been read; then it is read anew. */
export const CHECK_GRACE_MS = 1_000;
/** Snapshots in a row that show a store gone back, before the process says that it is frozen. */
export const REWIND_SIGHTINGS = 3;
/** A store followed for less than this has not been followed: the waits between attempts go on growing. */
export const STORE_FOLLOWED_MS_MIN = 1_000;
/** The position in the store is written to disk at most this often. */
export const STORE_MARK_DELAY_MS = 1_000;

/** Entries of the audit journal; then the oldest go. */
export const AUDIT_ENTRIES_MAX = 5_000;
/** Changes listed in one entry; how many more there were is said. */
export const AUDIT_CHANGES_MAX = 20;
/** Of one text in an entry; longer ones are cut. */
export const AUDIT_TEXT_CHARS_MAX = 300;
/** Refusals written to the journal by one process; further ones are in its log and metrics only. */
export const AUDIT_REFUSALS_PER_MINUTE_MAX = 10;
/** How long a cluster is told of an agent that claimed to be it. */
export const RIVAL_NOTICE_MS = 600_000;

/** One part of a ReplaceAll; a bigger table is sent in several. */
export const REPLACE_ALL_PART_BYTES = 1024 * 1024;

/** How long a Publish waits to become visible in this process before it answers anyway. */
export const PUBLISH_VISIBLE_MS_MAX = 1_000;

/** Connections of member clusters; more are closed at once. */
export const CONNECTIONS_MAX = 1_000;
export const HANDSHAKE_MS_MAX = 5_000;
/** Calls get this long to finish when the process stops. */
export const STOP_GRACE_MS = 2_000;

/** Join tokens kept, in any state; beyond: LIMIT_EXCEEDED. They are forgotten this long after their end. */
export const JOIN_TOKENS_MAX = 1_000;
export const JOIN_TOKENS_KEPT_MS = 30 * 86_400_000;
export const JOIN_TOKEN_TTL_MS_MAX = 7 * 86_400_000;
/** Connections of the join port, whose callers are strangers; more are closed at once. */
export const JOIN_CONNECTIONS_MAX = 200;
/** Attempts to redeem, of everybody and of one address; beyond: LIMIT_EXCEEDED, retried. */
export const REDEEM_PER_SECOND_MAX = 50;
export const REDEEM_BURST_MAX = 200;
export const REDEEM_PER_ADDRESS = { perSecond: 5, burst: 60, callersMax: 10_000 };
/** A join port that does not show its certificate in this time is away. */
export const JOIN_DIAL_MS_MAX = 5_000;
/** Renewals of one cluster's membership; beyond: LIMIT_EXCEEDED. */
export const RENEW_PER_MEMBER = { perSecond: 0.1, burst: 5, callersMax: 10_000 };

/** Waits between attempts to reach the store. */
export const STORE_RETRY_MS_FIRST = 100;
export const STORE_RETRY_MS_MAX = 2_000;

/** The embedded store's journal; when it is longer, the store writes a snapshot and starts a new one. */
export const JOURNAL_BYTES_MAX = 16 * 1024 * 1024;

/** Records a page when reading etcd, so that the largest page stays below ETCD_MESSAGE_BYTES_MAX. */
export const ETCD_PAGE_KEYS = 200;
/** Keys a page when reading etcd's index, which has no values. */
export const ETCD_INDEX_PAGE_KEYS = 5_000;
export const ETCD_MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** STORE_UNAVAILABLE. */
export const ETCD_CALL_MS_MAX = 2_000;

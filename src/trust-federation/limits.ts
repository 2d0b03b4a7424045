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

/** Kinds of refused peers shown under /debug/refusals; beyond: the one seen longest ago is forgotten. */
export const REFUSED_PEERS_MAX = 100;
/** A JWT-SVID that anyone presents. */
export const JWT_SVID_CHARS_MAX = 16_384;

/** Credentials that somebody else renews are looked at this often. */
export const CREDENTIALS_POLL_MS = 2_000;

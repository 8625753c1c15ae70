// Limits of certificate reading, path building and CRL checking. Everything counted here is controlled by whoever hands
// in certificates: a peer in its TLS handshake, a signature's certificate list, a file on the command line.
//
// Path building is a search (RFC 4158), and cross-certificates can make a search exponential; the budgets below are per
// call of `validatePath`, so the worst case costs a few dozen signature checks whatever is handed in.

/** One certificate, DER. The largest legitimate ones carry long lists of names. */
export const MAX_CERTIFICATE_BYTES = 64 * 1024;
export const MAX_EXTENSIONS = 32;
/** General names in one extension, and subtrees in one name constraints extension. */
export const MAX_GENERAL_NAMES = 4096;
export const MAX_NAME_ATTRIBUTES = 32;
export const MAX_KEY_PURPOSES = 32;

export const MAX_INTERMEDIATES = 16;
export const MAX_ANCHORS = 256;
/** Certificates in a path, leaf and anchor included. A caller may ask for fewer, never for more. */
export const MAX_PATH_CERTIFICATES = 8;
/** Signatures checked in one validation. */
export const MAX_SIGNATURE_CHECKS = 48;
/** Certificates visited in one search, counted once for every path they are tried in. */
export const MAX_SEARCH_STEPS = 256;
/** Comparisons of one name with one constraint in one validation. */
export const MAX_NAME_CHECKS = 1 << 20;

export const MAX_RSA_BITS = 8192;
export const MIN_RSA_BITS = 2048;

export const MAX_PEM_CHARACTERS = 2 * 1024 * 1024;
export const MAX_PEM_CERTIFICATES = 300;

export const MAX_CRL_BYTES = 4 * 1024 * 1024;

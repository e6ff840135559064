// How much a handle remembers of the JSON-RPC ids that were used in it. One set of limits for every store: with
// limits of their own, two stores would tell policy different things about the same ids.

/** Integers in the sliding window. What is left of it counts as used (RFC 6479). */
export const INTEGERS = 512;
/** Strings in the bounded set. A handle whose set is full can tell no replay any more, and is unknown from then on. */
export const STRINGS = 1024;
/** A longer string id is kept by its hash. */
export const LONGEST_STRING = 64;
/** Handles of one client. The one that was used longest ago gives way to a new one. */
export const MAX_HANDLES = 32;
/** Networks of one client that are told apart at the same time. */
export const MAX_NETWORKS = 8;

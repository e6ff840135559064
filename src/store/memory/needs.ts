// How much memory the limits of a store in memory may come to. A limit that does not fit is none: the process would end
// before it refuses anybody.

/** Bytes of heap of a client with one handle, and of a session, as `npm run bench -- --only memory` measures them. */
const CLIENT = 2500;
const SESSION = 4500;

/** Bytes of heap that so many clients need, each with a session at each backend. */
export const heapNeeded = (clients: number, backends: number): number =>
  clients * (CLIENT + Math.max(1, backends) * SESSION);

/** Of the heap, what the connector itself needs besides. */
export const OWN_HEAP = 60 * 1024 * 1024;

// Ends an evaluation that takes too long, inside the process. Only what V8 runs as a script has a limit of time, and
// the limit costs about 0.1 ms each time: so not every evaluation gets one.
import { createContext, Script } from 'node:vm';

/** What `within` throws when the time was up. */
export class CutShort extends Error {}

interface Place {
  work: (() => unknown) | undefined;
}

const SCRIPT = new Script('work()');
let place: Place | undefined;

/**
 * Runs `work` for at most `milliseconds`, and throws `CutShort` when it does not end by then. What it has changed until then
 * stays as it is, so an instance that was cut must not be asked again. `work` must be synchronous.
 */
export function within<T>(milliseconds: number, work: () => T): T {
  place ??= createContext({ work: undefined }) as Place;
  place.work = work;
  try {
    return SCRIPT.runInContext(place, { timeout: milliseconds }) as T;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException | undefined)?.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw thrown;
    throw new CutShort(`cut after ${milliseconds} ms`);
  } finally {
    place.work = undefined;
  }
}

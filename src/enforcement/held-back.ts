// Clients whose calls made a rule run away. Their calls that could do it again are refused without asking the policy, for a
// time that grows: each one that is asked holds the process for the time of the guard, and the calls of all others wait.
import { BoundedCache } from '../core/bounded-cache.ts';
import { LARGE_BYTES } from '../decision/guard/care.ts';

export interface HeldBack {
  /** Whether the client was held back not long ago, so that its calls are looked at with care. */
  known(client: string): boolean;
  /** Seconds for which a call of the client is refused, of this tool and with an input of so many bytes; 0 when it is not. */
  seconds(client: string, tool: string, bytes: number): number;
  /** An evaluation for the client was cut. Answers for how many seconds it is held back. */
  cut(client: string, tool: string, bytes: number): number;
}

const FIRST_SECONDS = 1;
const LONGEST_SECONDS = 300;
/** Most clients that are remembered. Whoever was held back longest ago is forgotten first. */
const MOST = 10_000;

interface Held {
  until: number;
  seconds: number;
  /** Tools of which a small input was cut: they are held back whatever the size. */
  tools: ReadonlySet<string>;
}

/** `now`: in milliseconds since 1970. */
export function createHeldBack(now: () => number): HeldBack {
  const held = new BoundedCache<string, Held>(MOST);
  /** Whoever kept still for as long as it was held back begins anew. */
  const lately = (client: string): Held | undefined => {
    const found = held.size === 0 ? undefined : held.get(client);
    return found && now() < found.until + found.seconds * 1000 ? found : undefined;
  };
  return {
    known: (client) => lately(client) !== undefined,
    seconds(client, tool, bytes) {
      const found = lately(client);
      const meant = found && (bytes > LARGE_BYTES || found.tools.has(tool));
      return meant ? Math.max(0, Math.ceil((found.until - now()) / 1000)) : 0;
    },
    cut(client, tool, bytes) {
      const before = lately(client);
      const seconds = before ? Math.min(before.seconds * 2, LONGEST_SECONDS) : FIRST_SECONDS;
      const tools = new Set([...(before?.tools ?? []), ...(bytes > LARGE_BYTES ? [] : [tool])]);
      held.set(client, { until: now() + seconds * 1000, seconds, tools });
      return seconds;
    },
  };
}

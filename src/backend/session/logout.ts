// The end of a backend session: its logout, and what a probe shows before and after it.
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { RequestTemplate } from '../../config/schema/request.ts';
import type { Clock } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';
import type { Expectation } from '../answer/verdict.ts';
import type { BackendTokenSecret, Changes, Checkpoint, LogoutResult } from '../port.ts';
import type { Ask } from './ask.ts';
import type { OpenSession } from './open-session.ts';
import { type Turn, turnOf } from './turn.ts';

export interface LogoutOptions {
  config: BackendConfig;
  clock: Clock;
  ask: Ask;
  opened: (backendToken: BackendTokenSecret) => OpenSession | undefined;
  changes: (session: OpenSession, turn: Turn) => Changes;
  /** Called with the reason when a logout could not be carried out. */
  onLogoutFailure?: ((detail: string) => void) | undefined;
}

export interface Logout {
  /** Ends a backend session, and what the answers bring meanwhile, and says what is known of it then. */
  logout(backendToken: BackendTokenSecret, left?: Checkpoint): Promise<LogoutResult>;
  /** Notes that this request has had a good answer, as every live session gives it. */
  noteGood(request: RequestTemplate): void;
}

/** A backend that is down or asks to be left alone, or no answer at all (null): nothing is known of the session. */
const DOWN: readonly (number | null)[] = [429, 502, 503, 504, null];

/** How long the first look at a session may take, whose logout waits for it. */
const FIRST_LOOK_MS = 2000;
/** How long a probe that has passed on a live session counts as one that tells. */
const TELLS_MS = 600_000;
/** Most sessions that the answers to one logout have brought and that are ended with it. */
const MOST_STRAYS = 4;
const BY_PROOF: readonly LogoutResult[] = ['dead', 'unproven', 'residual', 'unreachable'];
/** After these nothing more is tried. */
const LAST: readonly LogoutResult[] = ['residual', 'unreachable'];
const worse = (a: LogoutResult, b: LogoutResult): LogoutResult => (BY_PROOF.indexOf(a) > BY_PROOF.indexOf(b) ? a : b);

/** Probes and keep-alive requests have pages of their own, to which "assert" of the backend does not apply. */
export const own = (part: Expectation): Expectation => ({ ...part, assert: part.assert ?? [] });

export function createLogout({ config, clock, ask, opened, changes, onLogoutFailure }: LogoutOptions): Logout {
  const { logout, probe } = config;
  const tells = createTells(probe?.request, clock);
  const look = createLook(probe, ask);

  /** Ends one value of a session. What the answers bring meanwhile is added to `brought`. */
  async function end(session: OpenSession, brought: BackendTokenSecret[]): Promise<LogoutResult> {
    let last = session;
    const take = (turn: Turn): BackendTokenSecret | undefined => {
      const { renewed, strays = [] } = changes(last, turn);
      brought.push(...strays);
      return renewed;
    };
    const goOn = (next: BackendTokenSecret): void => {
      brought.push(new Secret(last.token));
      last = opened(next) ?? last;
    };
    // A probe that calls every session ended would prove nothing, so it is first seen to pass. Its answer may have
    // replaced the value, and then the new one is logged out, and the old one is looked at as well.
    if (!tells.now()) {
      const next = take((await look(session, FIRST_LOOK_MS)).turn);
      if (next) goOn(next);
    }
    for (let again = logout !== undefined; ; again = false) {
      if (logout) {
        // Backends answer a logout with a redirect, a page or an error, so the answer proves nothing; the probe does.
        const turn = turnOf(last);
        const question = { request: logout.request, values: last.values, expectation: logout, writes: true };
        const answer = await ask(question, turn);
        const fresh = take(turn);
        if (fresh) brought.push(fresh);
        if (!answer.ok && answer.ended.kind === 'failed' && (answer.unsent || DOWN.includes(answer.ended.status))) {
          onLogoutFailure?.(answer.ended.detail);
          return 'unreachable';
        }
      }
      const { found, turn } = await look(last);
      const fresh = take(turn);
      // A request with the cookies of an ended session revives it at some backends, and the probe is one. So the session
      // that it leaves behind is logged out once more.
      const revived = found === 'alive' && again;
      if (revived && fresh) goOn(fresh);
      else if (fresh) brought.push(fresh);
      if (revived) continue;
      if (found === 'alive') return 'residual';
      if (found === 'ended') return tells.now() ? 'dead' : 'unproven';
      return found === 'unreachable' ? 'unreachable' : 'unproven';
    }
  }

  /**
   * Ends a value that an answer has brought. Most are sessions of an anonymous visitor: when a probe that tells says so,
   * nothing is to be ended, and no logout is sent, which could bring the next one.
   */
  async function endBrought(session: OpenSession, brought: BackendTokenSecret[]): Promise<LogoutResult> {
    if (!tells.now()) return end(session, brought);
    const { found, turn } = await look(session);
    // What such an answer brings in turn is the session of the next visitor, and is not looked at: there is no end of them.
    if (found === 'ended') return 'dead';
    const { renewed, strays = [] } = changes(session, turn);
    brought.push(...strays);
    if (found === 'unreachable') return 'unreachable';
    if (!renewed) return end(session, brought);
    brought.push(new Secret(session.token));
    return end(opened(renewed) ?? session, brought);
  }

  return {
    async logout(backendToken, left = async () => {}) {
      const session = opened(backendToken);
      if (!session) return 'unproven';
      const brought: BackendTokenSecret[] = [];
      let ended = 0;
      let result: LogoutResult = 'unreachable';
      try {
        result = await end(session, brought);
        // An answer to the logout or the probe may bring a session of its own, which ends as well. Where a logout ends
        // nothing, each further one would only bring the next.
        while (ended < Math.min(brought.length, MOST_STRAYS) && !LAST.includes(result)) {
          const open = opened(brought[ended] as BackendTokenSecret);
          result = worse(result, open ? await endBrought(open, brought) : 'unproven');
          ended += 1;
        }
        return result === 'unreachable' || ended === brought.length ? result : worse(result, 'unproven');
      } finally {
        // The last one may be the one whose end the backend did not answer.
        if (result === 'unreachable') for (const each of brought.slice(Math.max(0, ended - 1))) await left(each);
      }
    },

    noteGood: tells.note,
  };
}

/** Probes a session. `limitMs`: after so long it is given up. */
const createLook = (probe: BackendConfig['probe'], ask: Ask) => async (session: OpenSession, limitMs?: number) => {
  const turn = turnOf(session, limitMs === undefined ? undefined : AbortSignal.timeout(limitMs));
  if (!probe) return { found: 'unknown', turn } as const;
  const question = { request: probe.request, values: session.values, expectation: own(probe), writes: false };
  const answer = await ask(question, turn);
  if (answer.ok) return { found: 'alive', turn } as const;
  if (answer.ended.kind === 'expired') return { found: 'ended', turn } as const;
  return { found: DOWN.includes(answer.ended.status) ? 'unreachable' : 'unknown', turn } as const;
};

/** Whether the probe has been seen to pass lately, and so tells a live session from an ended one. */
function createTells(probe: RequestTemplate | undefined, clock: Clock) {
  let until = Number.NEGATIVE_INFINITY;
  const known = new WeakMap<RequestTemplate, boolean>();
  const isProbe = (request: RequestTemplate): boolean => {
    const before = known.get(request) ?? JSON.stringify(request) === JSON.stringify(probe);
    known.set(request, before);
    return before;
  };
  return {
    now: () => clock.now() < until,
    /** Notes a request that had a good answer. */
    note(request: RequestTemplate): void {
      if (probe && isProbe(request)) until = clock.now() + TELLS_MS;
    },
  };
}

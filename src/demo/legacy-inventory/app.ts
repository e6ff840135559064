// An inventory system with the habits of real ones: a form login with a hidden token, a JSESSIONID cookie, rights by
// user and a CSRF header on writes. An ended session is answered with a redirect to the login page on some paths and
// with the login page and status 200 on others. It knows nothing of Sallyport and listens on loopback only.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cookie, createRoutes, html, type LegacyUser, type Switches } from './routes.ts';
import { createLegacySessions, type Timeouts } from './sessions.ts';

export type { LegacyUser, Switches } from './routes.ts';

/** `users`: by name. `port`: 0 (the default) for any free one. `now`: milliseconds since 1970. */
export interface LegacyOptions extends Partial<Timeouts> {
  users: Record<string, LegacyUser>;
  port?: number;
  now?: () => number;
}

/** What the legacy application has counted, so that tests can compare it with what the connector says. */
export interface LegacyStats {
  logins: number;
  failedLogins: number;
  logouts: number;
  liveSessions: number;
  /** Their ids, and the login that each goes back to. */
  live: readonly { id: string; login: string }[];
  /** Calls that changed the stock. */
  writes: number;
  /** Number of requests by session id, including sessions that have ended. */
  callsBySession: ReadonlyMap<string, number>;
}

/** The running application. `url` has no slash at its end. */
export interface LegacyInventory {
  readonly url: string;
  stats(): LegacyStats;
  /** Turns faults on or off; those not named stay as they are. */
  inject(switches: Partial<Switches>): void;
  /** Ends every session at once, as a restart would. */
  endAllSessions(): void;
  close(): Promise<void>;
}

/** Starts the application on 127.0.0.1. Sessions end after half an hour without use, and after ten hours at most. */
export async function startLegacyInventory({
  users,
  port = 0,
  now = Date.now,
  idleSeconds = 1800,
  absoluteSeconds = 36_000,
}: LegacyOptions): Promise<LegacyInventory> {
  const sessions = createLegacySessions(now, { idleSeconds, absoluteSeconds });
  const calls = new Map<string, number>();
  const counted = { logins: 0, failedLogins: 0, logouts: 0, writes: 0 };
  const switches: Switches = {
    latencyMs: 0,
    failure: null,
    refuseLogins: false,
    renewIds: false,
    keepOldIds: false,
    copyOnRefusal: false,
  };
  const route = createRoutes({ users, sessions, calls, counted, switches });

  const server = createServer(async (request, response) => {
    try {
      const url = new URL(request.url ?? '/', 'http://legacy');
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      if (switches.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, switches.latencyMs));
      const used = sessions.use(cookie(request));
      const session = used?.user === null ? undefined : used;
      route({
        request,
        response,
        path: url.pathname,
        query: url.searchParams,
        body: Buffer.concat(chunks).toString('utf8'),
        session,
      });
    } catch {
      if (!response.headersSent) html(response, 'internal error', 500);
    }
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stats: () => ({ ...counted, liveSessions: sessions.live().length, live: sessions.live(), callsBySession: calls }),
    inject(changes) {
      Object.assign(switches, changes);
    },
    endAllSessions: () => sessions.endAll(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

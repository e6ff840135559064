// The admin listener, from its configuration.
import type { AuditEvents } from '../audit/events.ts';
import type { Config } from '../config/load.ts';
import { resolveSecret } from '../config/secrets.ts';
import type { Secret } from '../core/secret.ts';
import { type Listener, listen } from '../http/listener/listener.ts';
import type { SessionManager } from '../session/contract.ts';
import { createAdminApp, refuseShortToken } from './app.ts';
import type { Metrics } from './metrics.ts';

/** How long the answer to an operator may take once the connector stops: not at all. */
const GRACE_SECONDS = 0;
const REQUEST_SECONDS = 60;
/** Scrapers and operators are few. */
const CONNECTIONS = 32;

export interface AdminListenerOptions {
  config: Config['admin'];
  /** From `adminCredential`. */
  credential: Secret | undefined;
  sessions: SessionManager;
  metrics: Metrics;
  events: AuditEvents;
}

/**
 * The credential of the admin listener, read before anything else is opened: a start that must fail fails without a
 * trace. Undefined when no listener is configured. Throws an OperatorError when it is missing or too short.
 */
export function adminCredential(config: Config['admin'], env: NodeJS.ProcessEnv): Secret | undefined {
  if (!config) return undefined;
  const credential = resolveSecret(config.token, 'admin.token', env);
  refuseShortToken(credential);
  return credential;
}

/** Undefined when none is configured. Rejects with an OperatorError when the port cannot be used. */
export async function openAdmin(options: AdminListenerOptions): Promise<Listener | undefined> {
  const { config, credential, sessions, metrics, events } = options;
  if (!config || !credential) return undefined;
  const app = createAdminApp({
    token: credential,
    metrics,
    async revoke(selector, cause, ip) {
      let ended: number | null = null;
      try {
        ended = await sessions.revokeAll(selector, cause);
        return ended;
      } finally {
        // On record also when it failed half-way: what was begun holds.
        events.revoked(selector, ended, ip);
      }
    },
    onRefused: events.adminRefused,
  });
  const listener = await listen({
    ...config,
    requestSeconds: REQUEST_SECONDS,
    graceSeconds: GRACE_SECONDS,
    connections: { total: CONNECTIONS, perSource: CONNECTIONS, isProxy: () => false },
    onTurned: metrics.turned,
  });
  listener.serve(app.callback());
  return listener;
}

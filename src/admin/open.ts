// The admin listener, from its configuration.
import type { AuditEvents } from '../audit/events/events.ts';
import type { Config } from '../config/load.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import { type Listener, listen } from '../http/listener/listener.ts';
import { parseAddress } from '../identity/address.ts';
import type { Guessing } from '../identity/guessing.ts';
import type { SessionManager } from '../session/contract.ts';
import { createAdminApp } from './app.ts';
import type { AdminOptions } from './contract.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Operators } from './tokens.ts';

/** How long the answer to an operator may take once the connector stops: not at all. */
const GRACE_SECONDS = 0;
/** Requests are small, so whoever is slower than this holds a connection and wants nothing. */
const REQUEST_SECONDS = 10;
/** Scrapers and operators are few. */
const CONNECTIONS = { total: 64, perSource: 32 };

export interface AdminListenerOptions
  extends Pick<AdminOptions, 'operators' | 'reload' | 'status' | 'readiness'>,
    Pick<AdminOptions, 'metrics' | 'accessLog' | 'backends' | 'freezes' | 'activation' | 'alerts'> {
  config: NonNullable<Config['admin']> & { prefixes: Config['network_prefix'] };
  /** Host header values as they are allowed at present. */
  allowedHosts: () => readonly string[];
  listing: AdminOptions['sessions'];
  sessions: Pick<SessionManager, 'revokeAll'>;
  metrics: Metrics;
  events: AuditEvents;
  guessing: Guessing;
}

export type { Operators };

/** Rejects with an OperatorError when the port cannot be used. */
export async function openAdmin(
  options: AdminListenerOptions,
): Promise<Listener & { reloadable: readonly Reloadable[] }> {
  const { config, sessions, metrics, events, guessing, listing } = options;
  const app = createAdminApp({
    ...options,
    sessions: listing,
    async revoke(selector, act) {
      let ended: number | null = null;
      try {
        ended = await sessions.revokeAll(selector, 'admin');
        return ended;
      } finally {
        // On record also when it failed half-way: what was begun holds.
        events.revoked(selector, ended, act);
      }
    },
    onRefused(ip) {
      const network = parseAddress(ip, config.prefixes)?.network ?? ip;
      const { limited, alert } = guessing.credential('unknown_key', `admin ${network}`);
      events.adminRefused({ ip, network }, alert !== undefined);
      return limited;
    },
  });
  const { host, port, tls } = config;
  const listener = await listen({
    host,
    port,
    tls,
    tlsPart: 'admin.tls',
    clientCertificates: tls?.client_ca_file === undefined ? 'asked' : 'demanded',
    requestSeconds: REQUEST_SECONDS,
    graceSeconds: GRACE_SECONDS,
    connections: { ...CONNECTIONS, isProxy: () => false },
    onTurned: metrics.turned,
  });
  listener.serve(app.callback());
  return listener;
}

// What is asked of the parts of the connector at every scrape.
import type { Gauge } from 'prom-client';
import type { CourierState } from '../../alerts/courier.ts';
import type { BackendHealth } from '../../backend/http/http.ts';
import type { Endings } from '../../life/endings.ts';
import type { Reloads } from '../../life/reload/reloads.ts';
import type { Compared } from '../../life/replicas.ts';

/** Makes a gauge, which may set itself when it is asked. */
export type MakeGauge = <T extends string>(
  name: string,
  help: string,
  labelNames: T[],
  collect?: () => void | Promise<void>,
) => Gauge<T>;

/** What is measured of the parts: the health of each backend, what is not ready, the store, the listener, the log. */
export interface Watched {
  health: () => Iterable<readonly [string, BackendHealth]>;
  notReady: () => Promise<readonly string[]>;
  store: { readonly skewMs: number; readonly revocations: number; frozen(): readonly unknown[] };
  listener: { readonly connections: number };
  /** Lines of the decision log that wait for the disk. */
  backlog: () => number;
  /** By backend, the sessions that there are; undefined on a replica that does not tell, because another does. */
  sessions: () => Promise<ReadonlyMap<string, number> | undefined>;
  /** Certificates in force and client keys, by what they are. */
  endings: Pick<Endings, 'present'>;
  /** Files that cannot be used, so that the last good ones are in force. */
  stale: () => readonly string[];
  differences: () => readonly { what: Compared }[];
  /** Of each receiver of alerts. */
  receivers: () => readonly CourierState[];
  /** The issuers whose keys are on a server, and since when they are known. */
  issuerKeys: () => readonly { issuer: string; ageMs: number | undefined }[];
  reloads: Pick<Reloads, 'last' | 'waiting'>;
  build: () => { policy: string; configuration: string; keyring: string };
}

const CIRCUIT = { closed: 0, half_open: 1, open: 2 } as const;
const DAY_MS = 86_400_000;

/** Makes the gauges of the connector as a whole. `watched` is undefined until it is put together. */
export function watchConnector(gauge: MakeGauge, watched: () => Watched | undefined, version: string): void {
  const labelled = (
    name: string,
    help: string,
    label: string,
    read: (of: Watched) => Iterable<readonly [string, number]> | Promise<Iterable<readonly [string, number]>>,
  ): void => {
    const one: Gauge = gauge(name, help, [label], async () => {
      one.reset();
      const of = watched();
      if (of) for (const [value, number] of await read(of)) one.set({ [label]: value }, number);
    });
  };
  const measure = (name: string, help: string, read: (of: Watched) => number): void => {
    const one: Gauge = gauge(name, help, [], () => {
      const of = watched();
      one.set(of ? read(of) : 0);
    });
  };
  labelled('ready', 'What /readyz says: 1 when all is well; each part that is not has a 0.', 'part', async (of) => {
    const missing = await of.notReady();
    return [['all', missing.length === 0 ? 1 : 0], ...missing.map((part): [string, number] => [part, 0])];
  });
  labelled(
    'sessions',
    'Backend sessions that there are. On Redis one replica tells it for all.',
    'backend',
    async (of) => [...((await of.sessions().catch(() => undefined)) ?? [])],
  );
  labelled(
    'expires_days',
    'Days until a certificate or the first client key ends; negative: it has ended.',
    'what',
    (of) => of.endings.present().map(({ what, at }): [string, number] => [what, (at - Date.now()) / DAY_MS]),
  );
  labelled('file_unusable', 'Files that cannot be used, so that the last good one is in force.', 'what', (of) =>
    of.stale().map((what): [string, number] => [what, 1]),
  );
  labelled('replicas_differ', 'In what the replicas on this store differ.', 'what', (of) =>
    of.differences().map(({ what }): [string, number] => [what, 1]),
  );
  labelled(
    'jwks_age_seconds',
    'Time since the keys of the issuer were fetched from its server; +Inf when they never were.',
    'issuer',
    (of) => of.issuerKeys().map(({ issuer, ageMs = Number.POSITIVE_INFINITY }) => [issuer, ageMs / 1000] as const),
  );
  labelled('waits_for_restart', 'Parts that were changed and take effect with a restart.', 'part', (of) =>
    [...of.reloads.waiting().keys()].map((part): [string, number] => [part, 1]),
  );
  labelled('restart_fails', 'Parts that were changed and cannot be used, so that a restart would fail.', 'part', (of) =>
    [...of.reloads.waiting()].filter(([, { fails }]) => fails).map(([part]): [string, number] => [part, 1]),
  );
  measure('last_reload_successful', '0 when the last reload was refused, so that nothing was changed by it.', (of) =>
    of.reloads.last()?.ok === false ? 0 : 1,
  );
  measure(
    'clock_skew_seconds',
    'How far the clock of the store is ahead of that of this machine.',
    ({ store }) => store.skewMs / 1000,
  );
  measure(
    'revocations',
    'Revocations in force. At the most that are kept, they become one of all.',
    ({ store }) => store.revocations,
  );
  measure('freezes', 'Freezes in force.', ({ store }) => store.frozen().length);
  measure('connections', 'Open connections of clients and proxies.', ({ listener }) => listener.connections);
  measure('audit_backlog', 'Records that wait for the disk.', ({ backlog }) => backlog());
  const build = gauge(
    'build_info',
    'Always 1; what this replica is, in the labels.',
    ['version', 'node', 'policy', 'configuration', 'keyring'],
    () => {
      build.reset();
      const { policy = '', configuration = '', keyring = '' } = watched()?.build() ?? {};
      build.set({ version, node: process.versions.node, policy, configuration, keyring }, 1);
    },
  );
}

/** Makes the gauges of each backend. */
export function watchBackends(gauge: MakeGauge, health: Watched['health']): void {
  const circuit = gauge('backend_circuit', 'Circuit breaker: 0 closed, 1 half open, 2 open.', ['backend'], () => {
    for (const [backend, state] of health()) {
      circuit.set({ backend }, CIRCUIT[state.circuit]);
      inFlight.set({ backend }, state.inFlight);
      queued.set({ backend }, state.queued);
      paused.set({ backend }, state.pausedSeconds);
    }
  });
  const inFlight = gauge('backend_in_flight', 'Requests that are under way.', ['backend']);
  const queued = gauge('backend_queued', 'Requests that wait for their turn.', ['backend']);
  const paused = gauge('backend_paused_seconds', 'How long the backend asked not to be called (Retry-After).', [
    'backend',
  ]);
}

// The only home of prom-client. Metrics for operators: how calls end and how backends fare. Labels are names from
// the configuration and codes of ours, never a client, an address or anything that a client can choose: that
// would reveal who calls, and let a client fill the memory with new time series.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { AuditLog } from '../audit/log.ts';
import type { BackendHealth } from '../backend/http/http.ts';
import type { Turned } from '../http/listener/connections.ts';

/** Counts what happens, and writes it out for Prometheus. */
export interface Metrics {
  /** Counts one exchange with a backend. `outcome` is a status class or a reason code. */
  exchange(backend: string, outcome: string, seconds: number): void;
  /** Counts a connection that there was no room for. */
  turned(what: Turned): void;
  /** Wraps a decision log: what is written to it is also counted. */
  counting(log: AuditLog): AuditLog;
  /** Sets what is asked at every scrape. */
  watch(watched: Watched): void;
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** The health of each backend, the parts that are not ready, and what is measured of the store and the listener. */
export interface Watched {
  health: () => Iterable<readonly [string, BackendHealth]>;
  notReady: () => Promise<readonly string[]>;
  store: { readonly skewMs: number; readonly revocations: number };
  listener: { readonly connections: number };
}

const CIRCUIT = { closed: 0, half_open: 1, open: 2 } as const;

/** Creates the metrics. `version` is the version of the connector. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter<T>({ name: `sallyport_${name}`, help, labelNames, registers });
  const gauge = <T extends string>(name: string, help: string, labelNames: T[], collect?: () => void | Promise<void>) =>
    new Gauge<T>({ name: `sallyport_${name}`, help, labelNames, registers, ...(collect && { collect }) });
  let watched: Watched = {
    health: () => [],
    notReady: async () => [],
    store: { skewMs: 0, revocations: 0 },
    listener: { connections: 0 },
  };

  const decisions = counter('decisions_total', 'Decisions on record, by outcome and by who decided.', [
    'outcome',
    'decided_by',
  ]);
  const calls = counter('calls_total', 'Tool calls that have ended, by outcome.', ['outcome']);
  const refusals = counter('refusals_total', 'Calls that were allowed and got no result all the same, by reason.', [
    'reason',
  ]);
  const denials = counter('denials_total', 'Calls that the policy denied, by reason.', ['reason']);
  const absent = counter('masks_absent_total', 'Masks that met nothing in a result, and so hid nothing.', ['backend']);
  const ended = counter('sessions_ended_total', 'Backend sessions that were ended: proven dead, or residual.', [
    'backend',
    'proof',
  ]);
  const alerts = counter('alerts_total', 'Alerts on record, by severity.', ['severity']);
  const events = counter('events_total', 'Events of the decision log, by name.', ['event']);
  const exchanges = counter('backend_exchanges_total', 'Requests to a backend: status class or refusal code.', [
    'backend',
    'outcome',
  ]);
  const duration = new Histogram({
    name: 'sallyport_backend_exchange_seconds',
    help: 'Time of one request to a backend, waiting for its turn included.',
    labelNames: ['backend'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  watchBackends(gauge, () => watched.health());
  watchConnector(gauge, () => watched);
  const turned = counter('connections_turned_total', 'Connections refused, or idle and closed for others.', ['what']);
  gauge('info', 'Always 1; the version is in the label.', ['version']).set({ version }, 1);

  // To find the row of a counter by its labels costs more than to count, so the rows of every call are kept.
  const decided = bound((outcome: string, by: string) => decisions.labels({ outcome, decided_by: by }));
  const callEnded = bound((outcome: string) => calls.labels({ outcome }));
  const exchanged = bound((backend: string, outcome: string) => exchanges.labels({ backend, outcome }));
  const took = bound((backend: string) => duration.labels({ backend }));

  return {
    exchange(backend, outcome, seconds) {
      exchanged(backend, outcome).inc();
      took(backend).observe(seconds);
    },

    turned: (what) => turned.inc({ what }),

    counting: (log) => ({
      ...log,
      get failure() {
        return log.failure;
      },
      // What is not on record was not decided: such a call is refused, and counted as that.
      async decided(record, body) {
        await log.decided(record, body);
        decided(body.result.outcome, record.decided_by).inc();
      },
      finished(record) {
        callEnded(record.outcome).inc();
        const reasons = {
          refused: refusals,
          done_answer_withheld: refusals,
          denied: denials,
          success: undefined,
          cancelled: undefined,
        }[record.outcome];
        for (const reason of reasons ? record.reasons : []) reasons?.inc({ reason });
        if (record.masks_absent) absent.inc({ backend: record.backend?.name ?? '' }, record.masks_absent.length);
        return log.finished(record);
      },
      async alert(record) {
        await log.alert(record);
        alerts.inc({ severity: record.severity });
      },
      event(record) {
        events.inc({ event: record.event });
        if (record.event === 'session_ended')
          ended.inc({ backend: String(record.backend), proof: String(record.proof) });
        return log.event(record);
      },
    }),

    watch(what) {
      watched = what;
    },

    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Remembers what a function of one or two names gives. The names are of the configuration and of ours, so they are few. */
function bound<T>(find: (...names: [string, string]) => T): (first: string, second?: string) => T {
  const known = new Map<string, T>();
  return (first, second = '') => {
    const name = `${first} ${second}`;
    const row = known.get(name) ?? find(first, second);
    known.set(name, row);
    return row;
  };
}

type MakeGauge = <T extends string>(
  name: string,
  help: string,
  labelNames: T[],
  collect?: () => void | Promise<void>,
) => Gauge<T>;

/** What is asked of the parts of the connector at every scrape. */
function watchConnector(gauge: MakeGauge, watched: () => Watched): void {
  const ready = gauge(
    'ready',
    'What /readyz says: 1 when all is well; each part that is not has a 0.',
    ['part'],
    async () => {
      const missing = await watched().notReady();
      ready.reset();
      ready.set({ part: 'all' }, missing.length === 0 ? 1 : 0);
      for (const part of missing) ready.set({ part }, 0);
    },
  );
  const measure = (name: string, help: string, read: (of: Watched) => number): void => {
    const one: Gauge = gauge(name, help, [], () => one.set(read(watched())));
  };
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
  measure('connections', 'Open connections of clients and proxies.', ({ listener }) => listener.connections);
}

/** What is asked of each backend at every scrape. */
function watchBackends(gauge: MakeGauge, health: Watched['health']): void {
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

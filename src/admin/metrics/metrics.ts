// Metrics for operators: how calls end and how backends fare. Labels are names from the configuration and codes of ours,
// never a client, an address or anything that a client can choose: that would reveal who calls, and let a client fill the
// memory with new time series.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { AuditLog } from '../../audit/log/log.ts';
import type { Turned } from '../../http/listener/connections.ts';
import { watchReceivers } from './alerts.ts';
import { CALL_SECONDS, createCounters, type Expected, mayDeny, startAtZero } from './counters.ts';
import { bound, countRecords } from './records.ts';
import { type MakeGauge, type Watched, watchBackends, watchConnector } from './state.ts';

/** Counts what happens, and writes it out for Prometheus. */
export interface Metrics {
  /** Counts one exchange with a backend. `outcome` is a status class or a reason code. */
  exchange(backend: string, outcome: string, seconds: number): void;
  /** Counts a connection that there was no room for. */
  turned(what: Turned): void;
  /** Counts a credential that was verified or was not: how it was shown, and `success` or why not. */
  authenticated(method: string, result: string): void;
  /** Counts one write of the decision log. */
  written(seconds: number): void;
  /** Counts what a log says of itself. */
  told(event: string): void;
  /** Counts one question to a store on another machine. */
  asked(seconds: number): void;
  /** Wraps a decision log: what is written to it is also counted. */
  counting(log: AuditLog): AuditLog;
  /** Another policy may deny for these reasons. */
  mayDeny(reasons: readonly string[]): void;
  /** Sets what is asked at every scrape. */
  watch(watched: Watched): void;
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

const TRIP_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1];

/** Creates the metrics. `version` is the version of the connector. */
export function createMetrics(version: string, expected: Expected): Metrics {
  const registry = new Registry();
  const registers = [registry];
  // Event loop, processor, memory and open files, under the names that dashboards know.
  collectDefaultMetrics({ register: registry });
  const gauge: MakeGauge = (name, help, labelNames, collect) =>
    new Gauge({ name: `sallyport_${name}`, help, labelNames, registers, ...(collect && { collect }) });
  const histogram = <T extends string>(name: string, help: string, labelNames: T[], buckets: number[]) =>
    new Histogram<T>({ name: `sallyport_${name}`, help, labelNames, buckets, registers });
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter<T>({ name: `sallyport_${name}`, help, labelNames, registers });
  let watched: Watched | undefined;
  watchBackends(gauge, () => watched?.health() ?? []);
  watchConnector(gauge, () => watched, version);
  watchReceivers(registry, gauge, () => watched?.receivers() ?? []);

  const counters = createCounters(registry);
  startAtZero(counters, expected);
  const exchanges = counter('backend_exchanges_total', 'Requests to a backend: status class or refusal code.', [
    'backend',
    'outcome',
  ]);
  const exchange = histogram(
    'backend_exchange_seconds',
    'Time of one request to a backend, waiting for its turn included.',
    ['backend'],
    CALL_SECONDS,
  );
  const turned = counter('connections_turned_total', 'Connections refused, or idle and closed for others.', ['what']);
  for (const what of ['refused', 'gave_way'] as const) turned.inc({ what }, 0);
  const credentials = counter('authentications_total', 'Credentials, by how they were shown and what came of it.', [
    'method',
    'result',
  ]);
  const writes = histogram('audit_write_seconds', 'Time of one write of the decision log.', [], TRIP_SECONDS);
  const trips = histogram('store_seconds', 'Time of one question to the store on Redis.', [], TRIP_SECONDS);
  gauge('info', 'Always 1; the version is in the label.', ['version']).set({ version }, 1);

  const exchanged = bound((backend: string, outcome: string) => exchanges.labels({ backend, outcome }));
  const took = bound((backend: string) => exchange.labels({ backend }));
  const shown = bound((method: string, result: string) => credentials.labels({ method, result }));

  return {
    exchange(backend, outcome, seconds) {
      exchanged(backend, outcome).inc();
      took(backend).observe(seconds);
    },
    turned: (what) => turned.inc({ what }),
    authenticated: (method, result) => shown(method, result).inc(),
    written: (seconds) => writes.observe(seconds),
    told: (event) => counters.events.inc({ event }),
    asked: (seconds) => trips.observe(seconds),
    counting: countRecords(counters),
    mayDeny: (reasons) => mayDeny(counters, reasons),
    watch(what) {
      watched = what;
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

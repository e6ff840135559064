// What is counted of the records of the decision log. Labels are names from the configuration, codes of the policy and of
// ours, never a client, an address or anything that a client can choose.
import { Counter, Histogram, type Registry } from 'prom-client';
import type { AuditLog } from '../../audit/log.ts';
import type { EventRecord } from '../../audit/records.ts';

/** Calls are fast where the backend is, and as slow as the slowest backend may be. */
export const CALL_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const EVALUATION_SECONDS = [0.00002, 0.00005, 0.0001, 0.00025, 0.001, 0.005, 0.025, 0.1];

/** Makes a function that wraps a decision log, so that what is written to it is also counted. */
export function countRecords(registry: Registry): (log: AuditLog) => AuditLog {
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter<T>({ name: `sallyport_${name}`, help, labelNames, registers });
  const decisions = counter('decisions_total', 'Decisions on record, by outcome and by who decided.', [
    'outcome',
    'decided_by',
  ]);
  const toolDecisions = counter('tool_decisions_total', 'Decisions on configured tools, by tool and outcome.', [
    'tool',
    'outcome',
  ]);
  const because = counter('decision_reasons_total', 'Reasons of decisions, by outcome of the decision and reason.', [
    'outcome',
    'reason',
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
  const logins = counter('logins_total', 'Logins at a backend, by result.', ['backend', 'result']);
  const rotations = counter('rotations_total', 'Sessions that were replaced, by the first reason.', [
    'backend',
    'reason',
  ]);
  const alerts = counter('alerts_total', 'Alerts on record, by severity.', ['severity']);
  const events = counter('events_total', 'Events of the decision log, by name.', ['event']);
  const duration = new Histogram({
    name: 'sallyport_call_seconds',
    help: 'Time of a tool call, from its request to its end, by backend and outcome.',
    labelNames: ['backend', 'outcome'],
    buckets: CALL_SECONDS,
    registers,
  });
  const evaluation = new Histogram({
    name: 'sallyport_policy_evaluation_seconds',
    help: 'Time of one evaluation of the policy.',
    buckets: EVALUATION_SECONDS,
    registers,
  });

  // To find the row of a counter by its labels costs more than to count, so the rows of every call are kept.
  const decided = bound((outcome: string, by: string) => decisions.labels({ outcome, decided_by: by }));
  const onTool = bound((tool: string, outcome: string) => toolDecisions.labels({ tool, outcome }));
  const reasoned = bound((outcome: string, reason: string) => because.labels({ outcome, reason }));
  const callEnded = bound((outcome: string) => calls.labels({ outcome }));
  const took = bound((backend: string, outcome: string) => duration.labels({ backend, outcome }));

  function session(record: EventRecord): void {
    const backend = String(record.backend ?? '');
    switch (record.event) {
      case 'session_opened':
        return logins.inc({ backend, result: 'success' });
      case 'session_rotated':
        logins.inc({ backend, result: 'success' });
        return rotations.inc({ backend, reason: firstCode(record.cause) });
      case 'backend_login_fail':
        return logins.inc({ backend, result: 'failure' });
      case 'login_abandoned':
        return logins.inc({ backend, result: 'abandoned' });
      case 'session_ended':
        return ended.inc({ backend, proof: String(record.proof) });
    }
  }

  return (log) => ({
    ...log,
    get failure() {
      return log.failure;
    },
    get backlog() {
      return log.backlog;
    },
    // What is not on record was not decided: such a call is refused, and counted as that.
    async decided(record, body) {
      await log.decided(record, body);
      const { outcome, reasons } = body.result;
      decided(outcome, record.decided_by).inc();
      if (record.tool.backend !== null) onTool(record.tool.name, outcome).inc();
      for (const { code } of reasons) reasoned(outcome, code).inc();
      if (record.decided_by === 'policy') evaluation.observe(record.metrics.timer_rego_query_eval_ns / 1e9);
    },
    finished(record) {
      callEnded(record.outcome).inc();
      took(record.backend?.name ?? '', record.outcome).observe(record.duration_ms / 1000);
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
      session(record);
      return log.event(record);
    },
  });
}

/** The first reason code of a cause, which may also be a sentence of ours. */
const firstCode = (cause: unknown): string =>
  /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+/.exec(String(cause))?.[0] ?? 'connector';

/** Remembers what a function of one or two names gives. The names are of the configuration and of ours, so they are few. */
export function bound<T>(find: (...names: [string, string]) => T): (first: string, second?: string) => T {
  const known = new Map<string, T>();
  return (first, second = '') => {
    const name = `${first} ${second}`;
    const row = known.get(name) ?? find(first, second);
    known.set(name, row);
    return row;
  };
}

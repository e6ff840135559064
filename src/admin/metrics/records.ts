// What is counted of the records of the decision log. Labels are names from the configuration, codes of the policy and of
// ours, never a client, an address or anything that a client can choose.
import type { AuditLog } from '../../audit/log/log.ts';
import type { EventRecord } from '../../audit/records.ts';
import type { Counters } from './counters.ts';

/** Makes a function that wraps a decision log, so that what is written to it is also counted. */
export function countRecords(counters: Counters): (log: AuditLog) => AuditLog {
  const { decisions, toolDecisions, because, calls, refusals, denials, absent, ended, logins, rotations } = counters;
  const { alerts, events, duration, evaluation } = counters;
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
        done_answer_unreadable: refusals,
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

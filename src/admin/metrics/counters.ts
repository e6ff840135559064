// The counters of the decision log. Labels are names from the configuration, codes of the policy and of ours, never a client,
// an address or anything that a client can choose.
import { Counter, Histogram, type Registry } from 'prom-client';
import { REFUSALS } from '../../decision/refusal-codes.ts';
import { PROOFS } from '../../session/events.ts';

/** Events that somebody waits for, so that the first of each is an increase. */
const FROM_ZERO = [
  ...['policy_activated', 'policy_refused', 'policies_differ', 'policy_held_process'],
  ...['log_gap', 'log_foreign', 'log_rotated', 'checkpoints_unreachable'],
];

/** Calls are fast where the backend is, and as slow as the slowest backend may be. */
export const CALL_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const EVALUATION_SECONDS = [0.00002, 0.00005, 0.0001, 0.00025, 0.001, 0.005, 0.025, 0.1];

export type Counters = ReturnType<typeof createCounters>;

export function createCounters(registry: Registry) {
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
  return {
    ...{ decisions, toolDecisions, because, calls, refusals, denials, absent },
    ...{ ended, logins, rotations, alerts, events, duration, evaluation },
  };
}

/** What may be counted: the names of backends, and the reason codes of the policy. */
export interface Expected {
  backends: readonly string[];
  reasons: readonly string[];
}

/** Makes the counters begin at 0: of one that begins at 1 `increase()` of Prometheus does not see the first. */
export function startAtZero(counters: Counters, { backends, reasons }: Expected): void {
  const { alerts, calls, refusals, ended, logins, absent, events } = counters;
  for (const event of FROM_ZERO) events.inc({ event }, 0);
  for (const severity of ['low', 'medium', 'high']) alerts.inc({ severity }, 0);
  for (const outcome of ['success', 'denied', 'refused', 'cancelled', 'done_answer_unreadable', 'done_answer_withheld'])
    calls.inc({ outcome }, 0);
  for (const reason of Object.keys(REFUSALS)) refusals.inc({ reason }, 0);
  mayDeny(counters, reasons);
  for (const backend of backends) {
    for (const proof of PROOFS) ended.inc({ backend, proof }, 0);
    for (const result of ['success', 'failure', 'abandoned']) logins.inc({ backend, result }, 0);
    absent.inc({ backend }, 0);
  }
}

/** The same for the reasons of a policy that comes later. */
export function mayDeny({ denials }: Pick<Counters, 'denials'>, reasons: readonly string[]): void {
  for (const reason of reasons) denials.inc({ reason }, 0);
}

// What the admin listener is made of, and what may be asked of it.

import type { Activation } from '../activation/activation.ts';
import type { Act } from '../audit/events/act.ts';
import type { OpsLog } from '../audit/ops.ts';
import type { Reloaded } from '../life/reload/reload.ts';
import type { Selector } from '../session/control.ts';
import type { AlertRoutesOptions } from './alert-routes.ts';
import type { SessionPage, Status } from './api-schema.ts';
import type { FreezeActs } from './freezes.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Operators } from './tokens.ts';

/** Which sessions are asked for. `after`: the fingerprint at which the page before ended. */
export interface SessionQuery {
  limit: number;
  after?: string | undefined;
  backend?: string | undefined;
  client?: string | undefined;
  subject?: string | undefined;
}

/** What the admin listener needs. */
export interface AdminOptions {
  operators: () => Operators;
  metrics: Pick<Metrics, 'text' | 'contentType'>;
  /**
   * Ends every session that the selector names, on all replicas, and answers how many there were. Rejects when
   * the store does not answer.
   */
  revoke: (selector: Selector, act: Act) => Promise<number>;
  /** Names of the backends, for whoever mistypes one. */
  backends: readonly string[];
  freezes: FreezeActs;
  activation: Activation;
  alerts: AlertRoutesOptions;
  reload: (act: Act) => Promise<Reloaded>;
  status: () => Promise<Status>;
  sessions: (query: SessionQuery) => Promise<SessionPage>;
  /** The parts that are not ready. */
  readiness: () => Promise<readonly string[]>;
  /** Called when a request has no valid admin token. Answers true when there were too many from there. */
  onRefused: (ip: string) => boolean;
  /** Host header values that are accepted besides loopback names and the address that was connected to. */
  allowedHosts: () => readonly string[];
  /** Where each request gets a line; undefined: nowhere. */
  accessLog: OpsLog | undefined;
}

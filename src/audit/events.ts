// What is worth a record besides calls: refused credentials and handles, and what happens to sessions.
// Event names follow the OWASP logging vocabulary where it has one.
import type { Clock } from '../core/clock.ts';
import type { SessionEvents } from '../session/events.ts';
import type { AuditLog } from './log.ts';
import type { EventRecord } from './records.ts';
import { createThrottle } from './throttle.ts';

export interface AuditEvents {
  session: SessionEvents;
  authenticationFailed(requestId: string, ip: string, failure: string): void;
  unknownHandle(requestId: string, ip: string, client: string): void;
  lifecycle(event: 'sys_startup' | 'sys_shutdown', fields: Record<string, string>): Promise<void>;
}

const REFUSALS_PER_SECOND = 20;

export function createAuditEvents(audit: AuditLog, clock: Clock): AuditEvents {
  const throttle = createThrottle(REFUSALS_PER_SECOND);
  const write = (event: string, fields: Omit<EventRecord, 'type' | 'event' | 'timestamp'>) =>
    audit.event({ type: 'event', event, timestamp: new Date(clock.now()).toISOString(), ...fields });
  const writeBounded = (event: string, fields: Record<string, string>) => {
    const suppressed = throttle.admit(clock.now());
    if (suppressed !== undefined) void write(event, { ...fields, ...(suppressed > 0 && { suppressed }) });
  };

  return {
    session(event) {
      if (event.type === 'login_failed')
        return void write('backend_login_fail', { backend: event.backend, detail: event.detail });
      const { record, cause } = event;
      const fields = {
        backend: record.backend,
        session: record.fingerprint,
        generation: record.generation,
        token: record.tokenFingerprint,
        cause,
      };
      if (event.type !== 'session_ended') return void write(event.type, fields);
      // a session that is not proven dead is a risk somebody must know of.
      void write(event.type, {
        ...fields,
        proof: event.proof,
        residual: event.proof === 'residual',
        drained: event.drained,
      });
    },
    authenticationFailed: (req_id, requested_by, failure) =>
      writeBounded('authn_login_fail', { req_id, requested_by, failure }),
    unknownHandle: (req_id, requested_by, client) =>
      writeBounded('session_use_fail', { req_id, requested_by, client, failure: 'unknown_handle' }),
    lifecycle: (event, fields) => write(event, fields),
  };
}

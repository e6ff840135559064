// Records of what happens apart from calls: rejected credentials and handles, and the life of sessions. Event
// names follow the OWASP logging vocabulary where it has one.
import type { Clock } from '../core/clock.ts';
import type { Selector } from '../session/control.ts';
import type { SessionEvents } from '../session/events.ts';
import type { AuditLog } from './log.ts';
import type { ClientFields, EventRecord } from './records.ts';
import { createOncePerMinute, createThrottle } from './throttle.ts';

/** Where a request came from, and its client if known. */
export interface Source {
  requestId: string;
  ip: string;
  network: string;
  client?: ClientFields | undefined;
}

/**
 * Writes events and alerts to the decision log. Methods that return nothing do not wait for the disk and never
 * fail.
 */
export interface AuditEvents {
  /** Records what happens to a session. An end that is not proven is marked as residual risk. */
  session: SessionEvents;
  /**
   * A credential was not accepted. `alert` asks for an alert as well: there were too many failures from that
   * source, or a DPoP proof was used twice.
   */
  authenticationFailed(source: Source, failure: string, alert: 'proof_replayed' | 'too_many' | undefined): void;
  /** A handle was not accepted. */
  unknownHandle(source: Source, alert: 'too_many' | undefined): void;
  /** The policy could not say which tools a client may see, so the client got an error instead of a list. */
  listingRefused(source: Source, code: string, detail: string): void;
  /** The connector started or stopped. Resolves when the record is written or has failed. */
  lifecycle(event: 'sys_startup' | 'sys_shutdown', fields: Record<string, string>): Promise<void>;
  /** Sessions were revoked. `ended` is how many were ended, null when the revocation failed half-way. */
  revoked(selector: Selector, ended: number | null, requestedBy: string): void;
  /** A request to the admin listener had no valid admin token. */
  adminRefused(ip: string): void;
  /** The store began a new epoch. `lost`: it may have lost what it knew. */
  storeEpoch(epoch: string, lost: boolean): void;
}

/** Most records a second about requests that were not accepted, all kinds together. */
const REFUSALS_PER_SECOND = 20;

/** Creates the writer. Records that strangers can cause are bounded by a throttle. */
export function createAuditEvents(audit: AuditLog, clock: Clock): AuditEvents {
  const throttle = createThrottle(REFUSALS_PER_SECOND);
  const once = createOncePerMinute();
  const timestamp = () => new Date(clock.now()).toISOString();
  const write = (event: string, fields: Omit<EventRecord, 'type' | 'event' | 'timestamp'>) =>
    audit.event({ type: 'event', event, timestamp: timestamp(), ...fields });
  const writeBounded = (event: string, fields: Record<string, string>) => {
    const suppressed = throttle.admit(clock.now());
    if (suppressed !== undefined) void write(event, { ...fields, ...(suppressed > 0 && { suppressed }) });
  };
  /** Writes one alert a minute for the same reason, network and client, however often it happens. */
  const alert = (reason: string, severity: 'medium' | 'high', source: Partial<Source>) => {
    const { requestId = null, ip = null, network = null, client = null } = source;
    if (!once.admit(JSON.stringify([reason, network, client]), clock.now())) return;
    const about = { req_id: requestId, requested_by: ip, client };
    audit
      .alert({ type: 'alert', timestamp: timestamp(), decision_id: null, ...about, severity, reasons: [reason] })
      .catch(() => {});
  };

  return {
    session(event) {
      if (event.type === 'login_failed')
        return void write('backend_login_fail', { backend: event.backend, detail: event.detail });
      if (event.type === 'login_abandoned')
        return void write(event.type, { backend: event.key.backend, residual: true });
      const { record } = event;
      const fields = {
        backend: record.backend,
        session: record.fingerprint,
        generation: record.generation,
        token: record.tokenFingerprint,
        cause: event.type === 'session_unopenable' ? 'its key is gone, or somebody has changed it' : event.cause,
      };
      if (event.type === 'logout_pending') return void write(event.type, { ...fields, residual: true });
      if (event.type !== 'session_ended') return void write(event.type, fields);
      // a backend session that is not proven dead may still work, so the record marks it as residual risk.
      void write(event.type, {
        ...fields,
        proof: event.proof,
        residual: event.proof === 'residual',
        drained: event.drained,
      });
    },

    authenticationFailed(source, failure, alerting) {
      const { requestId: req_id, ip: requested_by, client } = source;
      const event = failure === 'proof_replayed' ? 'authn_token_reuse' : 'authn_login_fail';
      writeBounded(event, { req_id, requested_by, failure, ...(client && { client: client.id }) });
      if (alerting === 'proof_replayed') alert('authn.proof_replayed', 'high', source);
      if (alerting === 'too_many') alert('authn.too_many_failures', 'medium', source);
    },

    unknownHandle(source, alerting) {
      const { requestId: req_id, ip: requested_by, client } = source;
      writeBounded('session_use_fail', { req_id, requested_by, client: client?.id ?? '', failure: 'unknown_handle' });
      if (alerting) alert('handle.too_many_unknown', 'medium', source);
    },

    listingRefused({ requestId: req_id, ip: requested_by, client }, code, detail) {
      writeBounded('listing_refused', { req_id, requested_by, client: client?.id ?? '', code, detail });
    },

    lifecycle: (event, fields) => write(event, fields),
    revoked: (selector, ended, requested_by) =>
      void write('session_revocation', { selector: JSON.stringify(selector), ended, requested_by }),
    adminRefused: (requested_by) => writeBounded('authn_login_fail', { requested_by, failure: 'admin' }),

    storeEpoch(epoch, lost) {
      void write('store_epoch', { epoch, lost });
      if (lost) alert('store.history_lost', 'high', {});
    },
  };
}

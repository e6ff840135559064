// Alerts of the connector itself: about credentials and handles, sessions, the store, the policy and the log. The same one is on
// record once a minute, because strangers can cause some of them; each of them is counted where alerts are delivered.
import type { Clock } from '../../core/clock.ts';
import { ALERTS, type AlertCode } from '../../decision/alerts/codes.ts';
import type { AuditLog } from '../log/log.ts';
import type { Masks } from '../masks.ts';
import type { AlertRecord, ClientFields } from '../records.ts';
import { createOncePerMinute } from './throttle.ts';

/** Who delivers alerts. Neither method fails, or is waited for. */
export interface AlertSink {
  raised(record: AlertRecord): void;
  /** What a lasting alert was about is over. */
  resolved(record: Pick<AlertRecord, 'reasons' | 'params'>): void;
}

/** What an alert is about, as far as it is known. `network` is where it came from. */
export interface About {
  requestId?: string | undefined;
  ip?: string | undefined;
  network?: string | undefined;
  client?: ClientFields | undefined;
  session?: string | undefined;
  backend?: string | undefined;
  decisionId?: string | null | undefined;
}

export type AlertParams = Record<string, string | number | boolean>;

export interface Raising {
  raise(code: AlertCode, about?: About, params?: AlertParams): void;
  over(code: AlertCode, params?: AlertParams): void;
  /** The one while something is so, the other when it is not any more. */
  lasting(code: AlertCode, is: boolean, params: AlertParams): void;
}

export function createRaising(
  audit: Pick<AuditLog, 'alert'>,
  clock: Clock,
  masks: Pick<Masks, 'event' | 'address'>,
  sink: AlertSink,
): Raising {
  const once = createOncePerMinute();
  const raise: Raising['raise'] = (code, about = {}, params = {}) => {
    const { requestId, ip, network, client, session, backend, decisionId } = about;
    const now = clock.now();
    const more: AlertParams = { ...params, ...(network !== undefined && { network: masks.address(network) }) };
    const record: AlertRecord = {
      type: 'alert',
      timestamp: new Date(now).toISOString(),
      decision_id: decisionId ?? null,
      req_id: requestId ?? null,
      ...masks.event({ requested_by: ip ?? null, client: client ?? null }),
      severity: ALERTS[code].severity,
      reasons: [code],
      ...(Object.keys(more).length > 0 && { params: more }),
      ...(backend !== undefined && { backend }),
      ...(session !== undefined && { session }),
    };
    const same = [code, network, client, session, backend, (ALERTS[code].about ?? []).map((name) => more[name])];
    if (once.admit(JSON.stringify(same), now)) audit.alert(record).catch(() => {});
    else sink.raised(record);
  };
  const over: Raising['over'] = (code, params = {}) => sink.resolved({ reasons: [code], params });
  return { raise, over, lasting: (code, is, params) => (is ? raise(code, {}, params) : over(code, params)) };
}

// Alerts and their records, made up.
import { type Alert, alertOf } from '../../src/alerts/alert.ts';
import type { AlertRecord } from '../../src/audit/records.ts';
import { ALERT_DEFAULTS, type AlertSettings } from '../../src/decision/alerts/settings.ts';

export const alertRecord = (code: string, more: Partial<AlertRecord> = {}): AlertRecord => ({
  ...{
    type: 'alert',
    timestamp: '2026-11-23T09:00:00.000Z',
    decision_id: null,
    req_id: null,
    requested_by: '10.1.2.3',
  },
  ...{ severity: 'high', reasons: [code], client: { id: 'agent', subject: 'agent', issuer: 'keys' }, session: null },
  ...more,
});

export const contextOf = (settings: Partial<AlertSettings> = {}, replica = 'r1') => ({
  settings: { ...ALERT_DEFAULTS, ...settings },
  titleOf: (code: string) => (code === 'replay.seen' ? 'A call was replayed' : undefined),
  ...{ policy: 'abc', replica },
});

export const alert = (code: string, more: Partial<AlertRecord> = {}): Alert =>
  alertOf(alertRecord(code, more), contextOf());

/** About a client of its own. */
export const about = (code: string, client: string): Alert =>
  alert(code, { client: { id: client, subject: client, issuer: 'keys' } });

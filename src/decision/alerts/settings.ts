// Whom to wake, and when: `settings.alerts` of data.yaml. What an alert is about is decided by the policy and by the
// connector; who hears of it is here, so that it is reviewed as the rules are.
import { z } from 'zod';
import { isTimeZone, WEEKDAYS } from '../../core/zones.ts';
import { SEVERITIES, type Severity } from './codes.ts';

const severity = z.enum(SEVERITIES);
/** A code, the beginning of codes, or each of them. */
export const codePattern = z
  .string()
  .regex(
    /^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?)$/,
    'is no code such as "replay.seen", no beginning of codes such as "replay.*", and not "*"',
  );
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'is no time of day such as "22:00"');

/** The shortest and longest time for which equal alerts count as one. */
const window = z.int().min(10).max(86_400);

const quiet = z.strictObject({
  /** Days on which they begin; each of them where none is named. */
  days: z.array(z.enum(WEEKDAYS)).min(1).optional(),
  from: timeOfDay,
  /** At or before `from`: on the next day. */
  to: timeOfDay,
  zone: z.string().refine(isTimeZone, 'is no time zone that this machine knows, such as "Europe/Berlin"'),
  /** What is more severe than this goes out at once. */
  up_to: severity,
});

const route = z.strictObject({
  codes: z.array(codePattern).min(1),
  /** Of these, the ones that are at least so severe. */
  at_least: severity,
  /** Names of receivers in connector.yaml; "*" is each of them. */
  to: z.array(z.string().min(1)),
  /** Names of quiet hours. */
  quiet: z.array(z.string().min(1)).optional(),
});

export const alertSettingsSchema = z.strictObject({
  severity: z.record(codePattern, severity),
  window_seconds: window,
  windows: z.record(codePattern, window),
  routes: z.array(route),
  quiet_hours: z.record(z.string().min(1), quiet),
});

/** Quiet hours, as they are written. */
export type QuietHours = z.infer<typeof quiet>;
export type AlertSettings = z.infer<typeof alertSettingsSchema>;

/** What holds where a policy folder of before there were receivers says nothing: everything goes to everybody. */
export const ALERT_DEFAULTS: AlertSettings = {
  severity: {},
  window_seconds: 300,
  windows: {},
  routes: [{ codes: ['*'], at_least: 'low', to: ['*'] }],
  quiet_hours: {},
};

/** Whether a code is meant by a pattern: itself, a beginning with ".*", or "*". */
export const matches = (pattern: string, code: string): boolean =>
  pattern === '*' || pattern === code || (pattern.endsWith('.*') && code.startsWith(pattern.slice(0, -1)));

/** The value of the pattern that says most about the code. */
export function closest<T>(table: Readonly<Record<string, T>>, code: string): T | undefined {
  const [best] = Object.keys(table)
    .filter((pattern) => matches(pattern, code))
    .sort((a, b) => Number(b === code) - Number(a === code) || b.length - a.length);
  return best === undefined ? undefined : table[best];
}

export const rankOf = (severity: Severity): number => SEVERITIES.indexOf(severity);

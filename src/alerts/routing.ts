// Whom an alert goes to, and when: what `settings.alerts` says, with the silences that operators have set.
import { createZoneClock, type LocalTime, WEEKDAYS } from '../core/zones.ts';
import { type AlertSettings, matches, type QuietHours, rankOf } from '../decision/alerts/settings.ts';
import type { Alert } from './alert.ts';
import type { Silence } from './board/board.ts';

/** The receivers of an alert, each with the time from which it may be told (milliseconds since 1970; 0 is now). */
export type Route = ReadonlyMap<string, number>;

/** `names`: the receivers that there are. Where several routes lead to one, the first to reach it counts. */
export function routeOf(alert: Alert, settings: AlertSettings, names: readonly string[], now: number): Route {
  const times = new Map<string, number>();
  for (const { codes, at_least, to, quiet = [] } of settings.routes) {
    if (rankOf(alert.severity) < rankOf(at_least) || !codes.some((pattern) => matches(pattern, alert.code))) continue;
    const hours = quiet.flatMap((name) => settings.quiet_hours[name] ?? []);
    const held = hours.filter(({ up_to }) => rankOf(alert.severity) <= rankOf(up_to));
    const from = quietUntilAll(held, now);
    // Whoever fails to take alerts is not told so.
    const failing = alert.code === 'alerts.receiver_failing' ? alert.params.receiver : undefined;
    for (const name of to.includes('*') ? names : names.filter((each) => to.includes(each)))
      if (failing !== name) times.set(name, Math.min(times.get(name) ?? from, from));
  }
  return times;
}

/** When the silences that mean an alert end, in milliseconds since 1970; 0 where none does. */
export function silencedUntil({ code, client }: Alert, silences: readonly Silence[], now: number): number {
  // Whoever silences alerts cannot silence that.
  if (code === 'alerts.silenced') return 0;
  const meaning = silences.filter(
    (row) => row.until > now && matches(row.codes, code) && (row.client === null || row.client === client?.id),
  );
  return Math.max(0, ...meaning.map(({ until }) => until));
}

/** When none of these quiet hours are any more: where some end others may begin. A week of them is no end. */
function quietUntilAll(hours: readonly QuietHours[], now: number): number {
  let from = 0;
  for (let i = 0; i < MOST_QUIET; i += 1) {
    const next = Math.max(0, ...hours.map((each) => quietUntil(each, Math.max(from, now))));
    if (next <= from) break;
    from = next;
  }
  return from;
}

const MOST_QUIET = 14;
const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;

/** When these quiet hours end, in milliseconds since 1970; 0 where they are not at present. */
export function quietUntil({ days, from, to, zone }: QuietHours, now: number): number {
  const local = createZoneClock([zone])(now)[zone];
  if (!local) return 0;
  const [begins, ends] = [minutesOf(from), minutesOf(to)];
  const minute = local.hour * 60 + local.minute;
  const overnight = ends <= begins;
  const onDay = (day: LocalTime['weekday']) => !days || days.includes(day);
  const beginning = minute >= begins && (overnight || minute < ends) && onDay(local.weekday);
  // Those that began yesterday.
  const going = overnight && minute < ends && onDay(dayBefore(local.weekday));
  if (!beginning && !going) return 0;
  // The minutes until then by the clock on the wall; when it is put forward or back in between, the end is an hour off.
  const left = (ends - minute + DAY_MINUTES) % DAY_MINUTES || DAY_MINUTES;
  return (Math.floor(now / MINUTE_MS) + left) * MINUTE_MS;
}

const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
const dayBefore = (day: LocalTime['weekday']): LocalTime['weekday'] =>
  WEEKDAYS[(WEEKDAYS.indexOf(day) + 6) % 7] as LocalTime['weekday'];

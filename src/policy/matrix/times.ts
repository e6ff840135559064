// At which hours of a week something holds, found by asking at each.
import { createZoneClock } from '../../core/zones.ts';
import { WORKING_HOUR } from './ordinary.ts';

const HOUR_MS = 3_600_000;
const HOURS = 168;
const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
/** The minutes of an hour that are asked about: a rule may look at them. */
const MINUTES = [0, 30];
/** Hours of the week that are asked about first: all of a working day and of the weekend, and two of each other day. */
const FIRST = Array.from({ length: HOURS }, (_, i) => i).filter((i) => i < 24 || i >= 120 || [10, 22].includes(i % 24));

/** In words, and one moment at which it holds. */
export interface Hours {
  words: string;
  some: number;
}

/**
 * Undefined where it holds at every hour, or at none: eighty hours of the week are asked about, and all where they differ. The words are in the only zone that the settings name, else in UTC. A week
 * in June is asked about: in a zone with summer time, in summer time.
 */
export function hoursWhen(holds: (at: number) => boolean, zones: readonly string[]): Hours | undefined {
  const [zone] = zones;
  const local = zones.length === 1 && zone !== undefined ? createZoneClock([zone]) : undefined;
  const monday = WORKING_HOUR - new Date(WORKING_HOUR).getUTCHours() * HOUR_MS;
  const first = FIRST.map((i) => holds(monday + i * HOUR_MS));
  if (first.every((each) => each === first[0])) return undefined;
  const table = DAYS.map(() => new Array<boolean>(24).fill(false));
  let some: number | undefined;
  let count = 0;
  for (let i = 0; i < HOURS; i++) {
    const at = monday + i * HOUR_MS;
    if (!MINUTES.every((minute) => holds(at + minute * 60_000))) continue;
    const shown = local?.(at)[zone as string];
    const date = new Date(at);
    const day = shown ? DAYS.indexOf(shown.weekday) : (date.getUTCDay() + 6) % 7;
    (table[day] as boolean[])[shown ? shown.hour : date.getUTCHours()] = true;
    some ??= at;
    count += 1;
  }
  if (some === undefined || count === HOURS) return undefined;
  return { words: `${inWords(table)} ${local ? zone : 'UTC'}`, some };
}

/** Such as "monday to friday 8–17": the hours from 8:00 to 17:59. */
function inWords(table: readonly (readonly boolean[])[]): string {
  const byDay = table.map(rangesOf);
  const parts: string[] = [];
  for (let day = 0; day < DAYS.length; ) {
    let last = day;
    while (last + 1 < DAYS.length && byDay[last + 1] === byDay[day]) last += 1;
    if (byDay[day] !== '')
      parts.push(
        `${day === 0 && last === 6 ? 'every day' : day === last ? DAYS[day] : `${DAYS[day]} to ${DAYS[last]}`} ${byDay[day]}`,
      );
    day = last + 1;
  }
  return parts.join(', ');
}

function rangesOf(hours: readonly boolean[]): string {
  const ranges: string[] = [];
  for (let hour = 0; hour < 24; hour++) {
    if (!hours[hour]) continue;
    let last = hour;
    while (hours[last + 1]) last += 1;
    ranges.push(hour === 0 && last === 23 ? '0–23' : hour === last ? String(hour) : `${hour}–${last}`);
    hour = last;
  }
  return ranges.join(' and ');
}

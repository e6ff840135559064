// At which times of a week something holds. Rules compare hours and days with numbers that are written somewhere, so it is enough
// to ask where one of these begins; where a rule computes with the time, every quarter of an hour is asked about.
import { createZoneClock } from '../../core/zones.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { isObject } from '../../formats/json.ts';
import type { Module } from '../rego/modules.ts';
import { eachCall, eachTerm, pathOf, scalarOf } from '../rego/terms.ts';
import { WORKING_HOUR } from './ordinary.ts';

const SLOT_MS = 15 * 60_000;
/** Quarters of an hour in a week. */
const SLOTS = 7 * 24 * 4;
/** In a day. */
const DAY = 24 * 4;
const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
/** A Monday, 0:00 UTC. In zones with summer time it is summer. */
const MONDAY = WORKING_HOUR - new Date(WORKING_HOUR).getUTCHours() * 3_600_000;

/** The clocks that are asked about, and the moments of a week at which an answer can change, as slots. */
export interface Times {
  /** The zone in which times are told; undefined is UTC. */
  zone: string | undefined;
  slots: readonly number[];
  /** Every day is like the first, and only that is asked about. */
  daily: boolean;
}

const COMPUTING =
  /^(json\.|object\.|concat|format_int|mul|div|rem|round|floor|ceil|abs|to_number|split|substring|sprintf|time\.|bits\.|numbers\.range_step)/;

/**
 * Undefined where no rule reads the time. `many`: so much is asked that, where a rule computes with the time, every full hour must
 * do instead of every quarter.
 */
export function timesOf(
  { zones = [], site }: LoadedSettings,
  modules: readonly Module[] | undefined,
  many: boolean,
): Times | undefined {
  const zone = zones.length === 1 ? zones[0] : undefined;
  const every = many ? 4 : 1;
  const all = { zone, slots: Array.from({ length: SLOTS / every }, (_, i) => i * every), daily: false };
  if (!modules) return all;
  let [reads, computes, days] = [false, false, false];
  const numbers = new Set<number>();
  for (const { rules } of modules.filter(readsTime)) {
    reads = true;
    eachTerm(rules, (term) => {
      const path = pathOf(term)?.join('.') ?? '';
      if (path === 'input' || /\.(rfc3339|unix_ms|minute|date)$/.test(path)) computes = true;
      if (/(^|\.)weekday$/.test(path)) days = true;
      const value = scalarOf(term);
      if (typeof value === 'number') numbers.add(value);
    });
    eachCall(rules, ({ name }) => {
      if (COMPUTING.test(name)) computes = true;
    });
  }
  if (!reads) return undefined;
  if (computes) return all;
  for (const value of numbersIn(site)) numbers.add(value);
  const starts = hoursAt([...numbers]);
  const clocks = [undefined, ...zones];
  const slots = Array.from({ length: days ? SLOTS : DAY }, (_, i) => i).filter((slot) =>
    clocks.some((clock) => {
      const { hour, minute } = wallClock(slot, clock);
      return minute === 0 && starts.has(hour);
    }),
  );
  return { zone, slots, daily: !days };
}

/** Hours at which a comparison can turn: at a number that is written somewhere, behind it, and at the sum and difference of two. */
function hoursAt(numbers: readonly number[]): ReadonlySet<number> {
  const sums = numbers.flatMap((a) => [a, ...numbers.flatMap((b) => [a + b, a - b])]);
  const all = [0, ...sums.flatMap((each) => [each, each + 1])];
  return new Set(all.filter((hour) => Number.isInteger(hour) && hour >= 0 && hour < 24));
}

function readsTime({ rules }: Module): boolean {
  let found = false;
  eachTerm(rules, (term) => {
    const path = pathOf(term);
    if (path?.[0] === 'input' && (path.length === 1 || path[1] === 'time' || path[1] === null)) found = true;
  });
  return found;
}

/** A setting of the site may be an hour. */
function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) return value.flatMap(numbersIn);
  return isObject(value) ? Object.values(value).flatMap(numbersIn) : [];
}

const clocks = new Map<string, ReturnType<typeof createZoneClock>>();

/** What a clock shows at the beginning of a slot. `day`: 0 is Monday. */
function wallClock(slot: number, zone: string | undefined): { hour: number; minute: number; day: number } {
  const at = atSlot(slot);
  if (zone === undefined) {
    const date = new Date(at);
    return { hour: date.getUTCHours(), minute: date.getUTCMinutes(), day: (date.getUTCDay() + 6) % 7 };
  }
  const clock = clocks.get(zone) ?? createZoneClock([zone]);
  clocks.set(zone, clock);
  const shown = clock(at)[zone] as ReturnType<typeof clock>[string];
  return { hour: shown.hour, minute: shown.minute, day: DAYS.indexOf(shown.weekday) };
}

/** The moment of a slot, in milliseconds since 1970. */
export const atSlot = (slot: number): number => MONDAY + slot * SLOT_MS;

/**
 * In words, when something holds that was asked about at those slots: "monday to friday 8:00–18:00 Europe/Berlin". Undefined where it
 * always holds. What was not asked about is as at the slot before it.
 */
export function timesInWords({ zone, slots, daily }: Times, holds: (slot: number) => boolean): string | undefined {
  if (slots.every(holds)) return undefined;
  const table = DAYS.map(() => new Array<boolean>(DAY).fill(false));
  const length = daily ? DAY : SLOTS;
  const filled: boolean[] = [];
  let now = holds(slots.at(-1) as number);
  for (let slot = 0, next = 0; slot < length; slot++) {
    if (slots[next] === slot) now = holds(slots[next++] as number);
    filled.push(now);
  }
  for (let slot = 0; slot < SLOTS; slot++) {
    const { hour, minute, day } = wallClock(slot, zone);
    (table[day] as boolean[])[hour * 4 + Math.floor(minute / 15)] = filled[slot % length] as boolean;
  }
  return `${tableInWords(table)} ${zone ?? 'UTC'}`;
}

function tableInWords(table: readonly (readonly boolean[])[]): string {
  const byDay = table.map(rangesOf);
  const parts: string[] = [];
  for (let day = 0; day < DAYS.length; ) {
    let last = day;
    while (last + 1 < DAYS.length && byDay[last + 1] === byDay[day]) last += 1;
    const name = day === 0 && last === 6 ? 'every day' : day === last ? DAYS[day] : `${DAYS[day]} to ${DAYS[last]}`;
    if (byDay[day] !== '') parts.push(`${name} ${byDay[day]}`);
    day = last + 1;
  }
  return parts.join(', ');
}

/** From the beginning of the first quarter to the end of the last: 8:00–18:00. */
function rangesOf(quarters: readonly boolean[]): string {
  const ranges: string[] = [];
  const clock = (quarter: number) => `${Math.floor(quarter / 4)}:${String((quarter % 4) * 15).padStart(2, '0')}`;
  for (let at = 0; at < quarters.length; at++) {
    if (!quarters[at]) continue;
    let end = at;
    while (quarters[end]) end += 1;
    ranges.push(`${clock(at)}–${clock(end)}`);
    at = end;
  }
  return ranges.join(' and ');
}

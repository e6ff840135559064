// Local time in a time zone, by the zone data of the runtime, which knows summer time. Policies do no arithmetic with
// hours.
/** Names of the days, in the order of `Date.getUTCDay()`. */
export const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

/** What a clock on the wall of that zone shows. `date` is YYYY-MM-DD, `hour` is from 0 to 23. */
export interface LocalTime {
  date: string;
  weekday: (typeof WEEKDAYS)[number];
  hour: number;
  minute: number;
}

/** Whether the runtime knows the zone by this name (IANA, such as "Europe/Berlin"). */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

/** Makes a clock of the zones. `now` is in milliseconds since 1970. The answer is made once a minute. */
export function createZoneClock(zones: readonly string[]): (now: number) => Readonly<Record<string, LocalTime>> {
  const formats = zones.map((zone) => [zone, formatOf(zone)] as const);
  let minute = Number.NaN;
  let local: Record<string, LocalTime> = {};
  return (now) => {
    const asked = Math.floor(now / 60_000);
    if (asked !== minute) {
      local = Object.fromEntries(formats.map(([zone, format]) => [zone, read(format, now)]));
      minute = asked;
    }
    return local;
  };
}

// The calendar and the numbering are named, because the locale of the machine must not change a decision.
const formatOf = (timeZone: string): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
    timeZone,
    hourCycle: 'h23',
    weekday: 'long',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });

function read(format: Intl.DateTimeFormat, now: number): LocalTime {
  const parts = Object.fromEntries(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const { year = '', month = '', day = '', weekday = '', hour, minute } = parts;
  return {
    date: `${year.padStart(4, '0')}-${month}-${day}`,
    weekday: weekday.toLowerCase() as LocalTime['weekday'],
    hour: Number(hour),
    minute: Number(minute),
  };
}

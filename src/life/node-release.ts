// Whether the release of Node that runs this still gets fixes. Nobody else tells the person who runs the process.

/** When each release line ends, by its major version (https://nodejs.org/en/about/previous-releases). */
const ENDS: Readonly<Record<string, string>> = { 20: '2026-04-30', 22: '2027-04-30', 24: '2028-04-30' };

/** The day on which the release ended, if it has; undefined for one that is supported or not known here. */
export function endOfLife(version: string, now: number): string | undefined {
  const day = ENDS[version.replace(/^v/, '').split('.')[0] ?? ''];
  return day !== undefined && Date.parse(day) < now ? day : undefined;
}

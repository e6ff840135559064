// `settings.alerts` against the codes that there are: a route for a misspelt code wakes nobody.
import { ALERTS } from '../../decision/alerts/codes.ts';
import { matches } from '../../decision/alerts/settings.ts';
import type { SettingsFile } from '../../decision/settings.ts';
import { nearest, oneOf, type Report } from './finding.ts';

/** `reasons`: the codes of the policy. */
export function checkAlerts({ settings, lineOf }: SettingsFile, reasons: Iterable<string>, report: Report): void {
  const { severity, windows, routes, quiet_hours } = settings.alerts;
  const codes = [...new Set([...reasons, ...Object.keys(ALERTS)])];
  const tell = (level: 'error' | 'warn', path: PropertyKey[], message: string) =>
    report[level](
      'settings',
      { file: 'data.yaml', row: lineOf(['settings', 'alerts', ...path]) },
      `settings.alerts.${path.map(String).join('.')}: ${message}`,
    );
  const known = (path: PropertyKey[], pattern: string) => {
    if (codes.some((code) => matches(pattern, code))) return;
    const best = nearest(pattern, codes);
    tell('error', path, `no alert has the code "${pattern}"${best === undefined ? '' : `; did you mean "${best}"?`}`);
  };
  for (const pattern of Object.keys(severity)) known(['severity', pattern], pattern);
  for (const pattern of Object.keys(windows)) known(['windows', pattern], pattern);
  const named = new Set<string>();
  routes.forEach((route, i) => {
    route.codes.forEach((pattern, j) => {
      known(['routes', i, 'codes', j], pattern);
    });
    (route.quiet ?? []).forEach((name, j) => {
      named.add(name);
      if (!Object.hasOwn(quiet_hours, name))
        tell('error', ['routes', i, 'quiet', j], `there are no quiet hours "${name}"`);
    });
  });
  for (const name of Object.keys(quiet_hours))
    if (!named.has(name)) tell('warn', ['quiet_hours', name], 'has no effect: no route names it under "quiet"');
  const lost = codes.filter(
    (code) => !routes.some(({ codes: patterns, to }) => to.length > 0 && patterns.some((each) => matches(each, code))),
  );
  if (lost.length === 0) return;
  const more = lost.length > 5 ? ` and ${lost.length - 5} more` : '';
  tell(
    'warn',
    ['routes'],
    `no route means ${oneOf(lost.slice(0, 5))}${more}: such an alert is on record and reaches nobody`,
  );
}

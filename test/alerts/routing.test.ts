import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { alertOf } from '../../src/alerts/alert.ts';
import { quietUntil, routeOf, silencedUntil } from '../../src/alerts/routing.ts';
import { ALERT_DEFAULTS, closest } from '../../src/decision/alerts/settings.ts';
import { policyPaths } from '../../src/decision/data/paths.ts';
import { readSettingsAt } from '../../src/decision/data/read.ts';
import { runGate } from '../../src/policy/gate/gate.ts';
import type { Opa } from '../../src/policy/opa.ts';
import { about, alert, alertRecord, contextOf } from '../support/alerts.ts';
import { startHarness } from '../support/harness.ts';
import { policyFolder } from '../support/policies.ts';

const NAMES = ['chat', 'pager', 'collector'];
const nights = { from: '20:00', to: '07:00', zone: 'Europe/Berlin', up_to: 'medium' as const };
const at = (text: string) => Date.parse(text);
const iso = (time: number) => new Date(time).toISOString();

describe('R-63: whom an alert goes to', () => {
  it('to the receivers of every route that means its code and severity, and of no other', () => {
    const settings = {
      ...ALERT_DEFAULTS,
      routes: [
        { codes: ['*'], at_least: 'low' as const, to: ['collector'] },
        { codes: ['replay.*', 'binding.network'], at_least: 'high' as const, to: ['pager'] },
        { codes: ['clock.skew'], at_least: 'low' as const, to: ['*'] },
      ],
    };
    const to = (code: string, severity: 'low' | 'medium' | 'high') =>
      [...routeOf({ ...alert(code), severity }, settings, NAMES, 0).keys()].sort();
    expect(to('replay.seen', 'high')).toEqual(['collector', 'pager']);
    expect(to('replay.seen', 'medium')).toEqual(['collector']);
    expect(to('replayed.seen', 'high')).toEqual(['collector']);
    expect(to('binding.network', 'high')).toEqual(['collector', 'pager']);
    expect(to('binding.network_added', 'high')).toEqual(['collector']);
    expect(to('clock.skew', 'low')).toEqual([...NAMES].sort());
    // A receiver that is down is not told so.
    expect([
      ...routeOf(alert('alerts.receiver_failing', { params: { receiver: 'chat' } }), ALERT_DEFAULTS, NAMES, 0).keys(),
    ]).toEqual(['pager', 'collector']);
  });

  it('the pattern that says most about a code holds, and a severity of the settings takes the place of that of the rule', () => {
    const table = { '*': 1, 'replay.*': 2, 'replay.history.*': 3, 'replay.seen': 4 };
    expect(
      ['replay.seen', 'replay.other', 'replay.history.lost', 'log.gap'].map((code) => closest(table, code)),
    ).toEqual([4, 2, 3, 1]);
    const severity = { 'replay.*': 'low' as const };
    expect(alertOf(alertRecord('replay.seen'), contextOf({ severity })).severity).toBe('low');
    expect(alertOf(alertRecord('log.gap'), contextOf({ severity })).severity).toBe('high');
  });

  it('in quiet hours up to a severity waits until their end, by the clock of their zone, also over midnight', () => {
    // Berlin is an hour ahead of UTC in winter.
    expect(iso(quietUntil(nights, at('2026-11-23T21:30:20Z')))).toBe('2026-11-24T06:00:00.000Z');
    expect(iso(quietUntil(nights, at('2026-11-24T02:10:00Z')))).toBe('2026-11-24T06:00:00.000Z');
    expect(quietUntil(nights, at('2026-11-24T06:00:00Z'))).toBe(0);
    expect(quietUntil(nights, at('2026-11-24T18:59:59Z'))).toBe(0);
    expect(iso(quietUntil(nights, at('2026-11-24T19:00:00Z')))).toBe('2026-11-25T06:00:00.000Z');
    // Those of Friday last into Saturday, and none begin on Saturday.
    const fridays = { ...nights, days: ['friday' as const] };
    expect(iso(quietUntil(fridays, at('2026-11-28T02:00:00Z')))).toBe('2026-11-28T06:00:00.000Z');
    expect(quietUntil(fridays, at('2026-11-28T21:00:00Z'))).toBe(0);
    const lunch = { from: '12:00', to: '13:00', zone: 'UTC', up_to: 'high' as const };
    expect(iso(quietUntil(lunch, at('2026-11-23T12:59:59Z')))).toBe('2026-11-23T13:00:00.000Z');
    expect(quietUntil(lunch, at('2026-11-23T13:00:00Z'))).toBe(0);
    const always = { ...lunch, from: '00:00', to: '00:00' };
    expect(iso(quietUntil(always, at('2026-11-23T00:00:00Z')))).toBe('2026-11-24T00:00:00.000Z');

    const settings = {
      ...ALERT_DEFAULTS,
      quiet_hours: { nights },
      routes: [
        { codes: ['*'], at_least: 'low' as const, to: ['chat'], quiet: ['nights'] },
        { codes: ['*'], at_least: 'low' as const, to: ['collector'] },
      ],
    };
    const night = at('2026-11-23T23:00:00Z');
    const medium = routeOf({ ...alert('x.y'), severity: 'medium' }, settings, NAMES, night);
    expect([...medium].map(([name, from]) => [name, from === 0 ? 'now' : iso(from)])).toEqual([
      ['chat', '2026-11-24T06:00:00.000Z'],
      ['collector', 'now'],
    ]);
    expect(routeOf({ ...alert('x.y'), severity: 'high' }, settings, NAMES, night).get('chat')).toBe(0);
  });

  it('a silence means its codes and its client until its end, and can never hide that somebody has silenced alerts', () => {
    const row = { codes: 'replay.*', client: 'a', operator: 'o', reason: 'r', since: 0, until: 100 };
    expect(silencedUntil(about('replay.seen', 'a'), [row], 99)).toBe(100);
    expect(silencedUntil(about('replay.seen', 'a'), [row], 100)).toBe(0);
    expect(silencedUntil(about('replay.seen', 'b'), [row], 99)).toBe(0);
    expect(silencedUntil(about('binding.key', 'a'), [row], 99)).toBe(0);
    const all = { ...row, codes: '*', client: null };
    expect(silencedUntil(alert('log.gap'), [all], 99)).toBe(100);
    expect(silencedUntil(alert('alerts.silenced'), [all], 99)).toBe(0);
  });

  it('what the shipped defaults say is what holds for a folder of before there were receivers', () => {
    const folder = policyFolder({
      'data.yaml': (text) => text.replace(/\n {2}alerts:[\s\S]*?(?=\n {2}# Overrides)/, '\n'),
    });
    try {
      expect(readSettingsAt(policyPaths(folder.dir)).settings.alerts).toEqual(ALERT_DEFAULTS);
    } finally {
      folder.remove();
    }
  });
});

describe('R-63, R-70: settings.alerts that mean nothing', () => {
  const opa = inject('opa');
  it.skipIf(opa === null)(
    'a code that no alert has, quiet hours that there are not, and codes that nobody hears of (needs OPA)',
    async () => {
      const folder = policyFolder({
        'data.yaml': (text) =>
          text.replace(
            /\n {2}alerts:[\s\S]*?(?=\n {2}# Overrides)/,
            `
  alerts:
    severity: { replay.sen: high }
    windows: { nothing.*: 60 }
    routes:
      - { codes: [replay.*, log.failed], at_least: low, to: [chat], quiet: [night] }
    quiet_hours:
      nights: { from: "20:00", to: "07:00", zone: UTC, up_to: low }
`,
          ),
      });
      try {
        const { findings } = await runGate(folder.dir, opa as Opa);
        const told = findings.filter(({ message }) => message.startsWith('settings.alerts'));
        expect(told.map(({ level, message }) => `${level} ${message}`)).toEqual([
          'error settings.alerts.severity.replay.sen: no alert has the code "replay.sen"; did you mean "replay.seen"?',
          'error settings.alerts.windows.nothing.*: no alert has the code "nothing.*"',
          'error settings.alerts.routes.0.codes.1: no alert has the code "log.failed"; did you mean "log.failing"?',
          'error settings.alerts.routes.0.quiet.0: there are no quiet hours "night"',
          'warning settings.alerts.quiet_hours.nights: has no effect: no route names it under "quiet"',
          expect.stringMatching(
            /^warning settings\.alerts\.routes: no route means "access\.\w+", .* and \d+ more: such an alert/,
          ),
        ]);
        const lines = readFileSync(join(folder.dir, 'data.yaml'), 'utf8').split('\n');
        expect(told.slice(0, 4).map(({ line }) => lines[line - 1]?.trim().split(':')[0])).toEqual([
          'severity',
          'windows',
          '- { codes',
          '- { codes',
        ]);
      } finally {
        folder.remove();
      }
    },
    60_000,
  );

  it('a route to a receiver that connector.yaml does not have stops the start, with its line', async () => {
    const folder = policyFolder({
      'data.yaml': (text) => text.replace('at_least: low, to: ["*"] }', 'at_least: low, to: [pager] }'),
    });
    const starting = startHarness({ edit: (yaml) => yaml, policyDir: folder.dir });
    try {
      await expect(starting).rejects.toThrow(
        /data\.yaml:\d+ settings\.alerts\.routes\.0\.to\.0: no receiver under "alerts" of connector\.yaml "pager"/,
      );
    } finally {
      folder.remove();
    }
  });
});

// The table of alerts is what people read at night: it has every alert, and says what the connector says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { ALERTS } from '../../src/decision/alerts/codes.ts';
import { settingsFileSchema } from '../../src/decision/settings.ts';
import { parseData } from '../../src/formats/yaml/yaml.ts';

const text = readFileSync(join(PACKAGE_ROOT, 'docs/alerts.md'), 'utf8');
const rows = [...text.matchAll(/^\| `([a-z]+\.[a-z_]+)` \| (.*) \|$/gm)].map(([, code = '', rest = '']) => [
  code,
  rest.replaceAll('`', '').split(' | '),
]) as [string, string[]][];
const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block);

describe('docs/alerts.md', () => {
  it('R-63: has each alert of the connector, with its severity, what happened and what to do', () => {
    const own = rows.filter(([, cells]) => cells.length === 3);
    expect(Object.fromEntries(own)).toEqual(
      Object.fromEntries(
        Object.entries(ALERTS).map(([code, { severity, title, mend }]) => [code, [severity, title, mend]]),
      ),
    );
  });

  it('has each alert of the shipped rules, and no other', () => {
    const { reasons } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'policies/compiled/manifest.json'), 'utf8'));
    const raising = Object.keys(reasons).filter((code) => /^binding\.|^replay\.seen/.test(code));
    expect(
      rows
        .filter(([, cells]) => cells.length === 2)
        .map(([code]) => code)
        .sort(),
    ).toEqual(raising.sort());
  });

  it('shows receivers that connector.yaml takes, and settings that data.yaml takes', () => {
    const receivers = blocks.filter((block) => /^ {4}\w+:.*\n {6}type:/m.test(block));
    expect(receivers).toHaveLength(5);
    for (const block of receivers) {
      const yaml = block.startsWith('alerts:') ? block : `alerts:\n  receivers:\n${block}`;
      const parsed = parseConfig({
        text: `version: 1\nidentity: { keys: { file: c } }\nbackends: {}\n${yaml}`,
        ...{ file: 'c', baseDir: '/', env: {} },
      });
      expect(parsed.ok ? [] : parsed.problems).toEqual([]);
    }
    const settings = blocks.filter((block) => /^(settings|# data\.yaml)/.test(block));
    expect(settings).toHaveLength(3);
    for (const block of settings) {
      const { alerts } = (
        block.startsWith('settings') ? (parseData(block) as { settings: object }).settings : parseData(block)
      ) as {
        alerts: unknown;
      };
      expect(settingsFileSchema.shape.alerts.safeParse(alerts).error).toBeUndefined();
    }
  });
});

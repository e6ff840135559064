// Settings: shipped default, data.yaml, backend, tool; a role in addition, and only tighter; those of the site by its schema.

import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { loadSettings, readCompiled } from '../../src/decision/bundle.ts';
import { merge, withMerged } from '../../src/decision/data/merge.ts';
import { PACKAGED, policyPaths } from '../../src/decision/data/paths.ts';
import { shippedDefaults } from '../../src/decision/data/read.ts';
import { createEvaluator } from '../../src/decision/evaluator.ts';
import type { Settings } from '../../src/decision/settings.ts';
import { loadCases } from '../../src/policy/cases.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';

let folder: PolicyFolder | undefined;
afterEach(() => {
  folder?.remove();
  folder = undefined;
});

const defaults = shippedDefaults(policyPaths(PACKAGED));
const SMALL =
  'settings:\n  access: { roles: { clerk: { tools: [stock_get] } } }\n  binding: {}\n  lifetime: {}\n  replay: {}\n  usage: {}\n  backends: {}\n  tools: {}\n';
/** Reads a data.yaml that has `more` under settings. */
const read = (more: string, files: Record<string, string> = {}, base = SMALL) => {
  folder?.remove();
  folder = policyFolder({ 'data.yaml': base + more, ...files });
  return loadSettings(folder.dir);
};
const problem = (...args: Parameters<typeof read>): string => {
  try {
    read(...args);
    return 'no problem';
  } catch (thrown) {
    return (thrown as Error).message;
  }
};

describe('R-72: what data.yaml leaves out has its shipped default', () => {
  it('a file that says next to nothing holds what the shipped policy holds', () => {
    const { merged: _merged, ...settings } = read('');
    expect(settings).toEqual({
      ...defaults,
      access: { ...defaults.access, roles: { clerk: { tools: ['stock_get'] } } },
    });
  });

  it('the shipped data.yaml weakens no default', () => {
    const { binding, lifetime, replay, usage } = loadSettings(PACKAGED);
    expect({ binding, lifetime, replay, usage }).toEqual({
      binding: defaults.binding,
      lifetime: defaults.lifetime,
      replay: defaults.replay,
      usage: defaults.usage,
    });
  });

  it.each([
    ['a group', SMALL.replace('  usage: {}\n', ''), /settings\.usage: is missing/],
    [
      'the roles',
      SMALL.replace('{ roles: { clerk: { tools: [stock_get] } } }', '{}'),
      /settings\.access\.roles: is missing/,
    ],
    [
      'a part of a limit of a role',
      `${SMALL}  roles: { clerk: { lifetime: { idle: { limit_seconds: 60 } } } }\n`,
      /settings\.roles\.clerk\.lifetime\.idle\.grade: is missing \(one of "allow"\|"rotate"\|"deny"\)/,
    ],
  ])('a missing key is called missing: %s', (_name, base, message) => {
    expect(problem('', {}, base)).toMatch(message);
  });
});

describe('R-72: one precedence, merged when loaded', () => {
  const limits = fc.record(
    { calls_per_minute: fc.integer({ min: 1, max: 9 }), in_flight: fc.integer({ min: 1, max: 9 }) },
    { requiredKeys: [] },
  );
  const names = ['a', 'b', '__proto__', 'constructor'];
  const table = fc.dictionary(fc.constantFrom(...names), fc.record({ usage: limits }));
  const usage = (settings: Settings, backend: string, tool: string) => {
    const { merged } = withMerged(settings);
    const at = merged.at[''] ?? {};
    const inBackend = at[Object.hasOwn(at, backend) ? backend : ''] ?? {};
    const where = inBackend[Object.hasOwn(inBackend, tool) ? tool : ''];
    return merged.usage[where?.usage ?? -1];
  };

  it('the tool wins over the backend, the backend over the general value, for any names', () => {
    fc.assert(
      fc.property(
        table,
        table,
        fc.constantFrom(...names),
        fc.constantFrom(...names),
        (backends, tools, backend, tool) => {
          const settings = { ...defaults, backends, tools } as Settings;
          const own = <T>(of: Record<string, T>, name: string) => (Object.hasOwn(of, name) ? of[name] : undefined);
          const expected = { ...defaults.usage, ...own(backends, backend)?.usage, ...own(tools, tool)?.usage };
          expect(usage(settings, backend, tool)).toEqual(expected);
        },
      ),
    );
  });

  it('merging changes neither side, and a name of a prototype is a name', () => {
    const base = { a: { x: 1 } };
    const changes = JSON.parse('{"a":{"y":2},"__proto__":{"z":3}}');
    expect(merge(base, changes)).toEqual(JSON.parse('{"a":{"x":1,"y":2},"__proto__":{"z":3}}'));
    expect([base, ({} as { z?: number }).z]).toEqual([{ a: { x: 1 } }, undefined]);
  });

  it('more combinations than can be held are one clear error', () => {
    const many = (kind: string, count: number) =>
      `  ${kind}:\n${Array.from({ length: count }, (_, i) => `    n${i}: { usage: { in_flight: ${i + 1} } }\n`).join('')}`;
    const base = SMALL.replace('  backends: {}\n  tools: {}\n', many('backends', 80) + many('tools', 80));
    expect(problem('', {}, base)).toMatch(
      /6561 combinations of roles, backends and tools with overrides; 5000 are the most/,
    );
  });
});

describe('R-72: roles only tighten', () => {
  it.each([
    ['a smaller number', 'usage: { in_flight: 4 }'],
    ['a longer window', 'binding: { overlap_seconds: 600 }'],
    ['a stricter grade', 'binding: { ip: rotate }'],
    ['a smaller limit', 'lifetime: { idle: { limit_seconds: 60, grade: rotate } }'],
    ['a larger limit with a stricter grade', 'lifetime: { idle: { limit_seconds: 9000, grade: deny } }'],
    ['more effects that need a source', 'replay: { require_source_for: [write] }'],
    ['the same value', 'usage: { in_flight: 128 }'],
  ])('%s is taken', (_name, role) => {
    expect(problem(`  roles: { clerk: { ${role} } }\n`)).toBe('no problem');
  });

  it.each([
    [
      'a larger number',
      'usage: { in_flight: 400 }',
      /settings\.roles\.clerk\.usage\.in_flight: is looser than the 128 that holds for all, and a role can only tighten \(smaller is stricter\)/,
    ],
    ['a shorter window', 'binding: { overlap_seconds: 60 }', /larger is stricter/],
    ['a looser grade', 'binding: { client: rotate }', /the order is allow, rotate, deny/],
    [
      'a larger limit',
      'lifetime: { idle: { limit_seconds: 9000, grade: rotate } }',
      /a smaller limit or a stricter grade/,
    ],
    ['no revocation', 'replay: { revoke_on_other_network: false }', /true is stricter/],
    ['places, which loosen', 'binding: { places: { a: [10.0.0.0/8] } }', /unknown key "places"/],
  ])('%s is an error with its path, because it would have no effect', (_name, role, message) => {
    expect(problem(`  roles: { clerk: { ${role} } }\n`)).toMatch(message);
  });

  it('every role of a client is asked, besides what holds for all', () => {
    const settings = read(
      '  roles:\n    clerk: { usage: { calls_per_minute: 2 } }\n    other: { lifetime: { token_age: { limit_seconds: 60, grade: deny } } }\n',
    );
    const { wasm } = readCompiled(PACKAGED) ?? {};
    const evaluator = createEvaluator({
      module: new WebAssembly.Module(new Uint8Array(wasm as Buffer)),
      data: { settings },
      budgetMs: 5000,
    });
    const base = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), settings).find(
      ({ name }) => name === 'a clerk reads an item, without the purchase price',
    );
    const reasons = (roles: string[]) => {
      const input = { ...base?.input, client: { ...base?.input.client, roles } };
      const evaluation = evaluator.evaluate(input as NonNullable<typeof base>['input']);
      return evaluation.ok
        ? [evaluation.decision.outcome, ...evaluation.decision.reasons.map(({ code }) => code).sort()]
        : evaluation;
    };
    expect(reasons(['clerk'])).toEqual(['deny', 'usage.minute_rate']);
    expect(reasons(['clerk', 'other'])).toEqual(['deny', 'lifetime.token_too_old', 'usage.minute_rate']);
    expect(reasons(['other'])).toEqual(['deny', 'access.no_rule', 'lifetime.token_too_old']);
  });
});

describe('R-72: settings of the site', () => {
  const SCHEMA = {
    'site/settings.schema.json':
      '{"type":"object","properties":{"office":{"type":"object","properties":{"opens":{"type":"integer"}},"required":["opens"]},"most":{"type":"integer","x-stricter":"smaller"},"word":{"type":"string"}},"required":["office"]}',
  };
  const site = '  site: { office: { opens: 8 }, most: 10 }\n';

  it('are checked, merged and tightened like the shipped ones', () => {
    const settings = read(
      `${site}  roles: { clerk: { site: { most: 3 } } }\n`,
      SCHEMA,
      SMALL.replace('backends: {}', 'backends: { payroll: { site: { most: 5 } } }'),
    );
    expect(settings.merged.site).toEqual([
      { office: { opens: 8 }, most: 10 },
      { office: { opens: 8 }, most: 5 },
      { office: { opens: 8 }, most: 3 },
    ]);
  });

  it.each([
    [
      'a misspelt key',
      '  site: { office: { opens: 8 }, mots: 10 }\n',
      /data\.yaml:\d+ settings\.site\.mots: unknown key "mots"/,
    ],
    [
      'a misspelt key inside',
      '  site: { office: { open: 8, opens: 8 } }\n',
      /settings\.site\.office\.open: unknown key "open"/,
    ],
    ['a missing key', '  site: { most: 10 }\n', /settings\.site\.office: is missing/],
    ['another type', '  site: { office: { opens: early } }\n', /settings\.site\.office\.opens: must be integer/],
    [
      'an override of another type',
      `${site}  roles: { clerk: { site: { most: few } } }\n`,
      /settings\.roles\.clerk\.site\.most: must be integer/,
    ],
    [
      'a looser role',
      `${site}  roles: { clerk: { site: { most: 11 } } }\n`,
      /settings\.roles\.clerk\.site\.most: is looser than the 10/,
    ],
    [
      'a role and a setting without a strict side',
      `${site}  roles: { clerk: { site: { word: x } } }\n`,
      /cannot be set for a role: its schema has no "x-stricter"/,
    ],
  ])('%s is an error with its line', (_name, more, message) => {
    expect(problem(more, SCHEMA)).toMatch(message);
  });

  it.each([
    ['without a schema', site, {}, /settings\.site: has values, and there is no settings\.schema\.json/],
    ['with a schema that is no JSON', site, { 'site/settings.schema.json': '{' }, /settings\.schema\.json is no JSON/],
    [
      'with a schema of a list',
      site,
      { 'site/settings.schema.json': '{"type":"array"}' },
      /must be a JSON Schema with "type": "object" and "properties"/,
    ],
    [
      'with a schema that makes no sense',
      site,
      { 'site/settings.schema.json': '{"type":"object","properties":{"a":{"type":"int"}}}' },
      /settings\.schema\.json: /,
    ],
    [
      'with a zone that there is not',
      '  zones: [Europe/Berlim]\n',
      {},
      /settings\.zones\.0: is no time zone that this machine knows/,
    ],
  ])('%s nothing is served', (_name, more, files, message) => {
    expect(problem(more, files as Record<string, string>)).toMatch(message);
  });
});

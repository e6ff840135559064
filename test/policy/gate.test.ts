// Mistakes that a security engineer can make in a policy, each of which would be a control that is not there. The gate
// refuses every one of them, in `policy check`, in `policy build` and at a start alike.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { checkPolicies } from '../../src/policy/check.ts';
import { configuredNames } from '../../src/policy/configured.ts';
import { runGate } from '../../src/policy/gate/gate.ts';
import type { Opa } from '../../src/policy/opa.ts';
import { sarif } from '../../src/policy/report/sarif.ts';
import { run as runCli } from '../support/cli.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';
import { FACTS } from './mistakes/facts.ts';
import { GIVEN } from './mistakes/given.ts';
import { NATURAL } from './mistakes/natural.ts';
import { PLACES } from './mistakes/places.ts';
import { CASES, changed, type Files, METADATA, RULE } from './mistakes/rule.ts';

const opa = inject('opa') as Opa | null;
const folders: PolicyFolder[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});

/** A policy folder with the rule and its case, some of it changed. */
function site(files: Files = {}): PolicyFolder {
  const folder = policyFolder({ 'site/night.rego': RULE, 'site/tests/night.yaml': CASES, ...files });
  folders.push(folder);
  return folder;
}
describe.skipIf(!opa)('R-70, R-71: mistakes that would be a control that is not there (needs OPA)', () => {
  it('the rule without a mistake passes, and the warnings say nothing', async () => {
    const { findings, compiled } = await runGate(site().dir, opa as Opa);
    expect(findings).toEqual([]);
    expect(compiled?.manifest.reasons['night.closed']).toEqual({
      title: 'No writes at night',
      controls: ['ISO27001-A.8.15'],
    });
  });

  it.each(Object.entries({ ...GIVEN, ...FACTS, ...PLACES }))('%s is refused, with file and line', async (_name, {
    files,
    message,
    file = 'site/night.rego',
  }) => {
    const folder = site(files);
    const problems = await checkPolicies(folder.dir, opa as Opa);
    const told = problems.find((problem) => message.test(problem.message));
    expect(told, JSON.stringify(problems, null, 1)).toBeDefined();
    expect(told?.file.endsWith(file), told?.file).toBe(true);
    if (!/data among|numbers|nothing looks at/.test(told?.message ?? '')) expect(told?.line).toBeGreaterThan(0);
  });

  it.each(Object.entries(NATURAL))('%s passes', async (_name, files) => {
    const { findings } = await runGate(site(files).dir, opa as Opa);
    expect(findings).toEqual([]);
  });

  it.each([
    ['itself', '{"sku": input.tool.arguments.sku}', 'input.tool.arguments.sku', { sku: ['sku'] }],
    ['a local name', '{"sku": s}', 's := lower(input.tool.arguments.sku)', { sku: ['sku'] }],
    ['a pattern', '{"sku": s}', '{"sku": s} = input.tool.arguments', { sku: ['*'] }],
    ['a list that is taken apart', '{"sku": s}', '[s, _] := [input.tool.arguments.sku, 1]', { sku: ['sku'] }],
    ['walk', '{"sku": v}', 'walk(input.tool.arguments, [_, v])\n\tis_string(v)', { sku: ['*'] }],
    ['an output argument', '{"sku": v}', 'lower(input.tool.arguments.sku, v)', { sku: ['sku'] }],
    ['a helper rule and a local name', '{"sku": s}', 's := sku', { sku: ['sku'] }],
    [
      'an equal value of a list',
      '{"sku": v}',
      'some v in ["A-1", "B-2"]\n\tv == input.tool.arguments.sku',
      { sku: ['sku'] },
    ],
    ['a computed name', '{input.tool.arguments.sku: true}', 'input.tool.arguments.sku', { '*': ['sku'] }],
    ['something else', '{"hour": input.time.hour}', 'input.tool.arguments.sku', undefined],
  ])('R-74: a parameter made of an argument by %s follows its audit list', async (_name, params, condition, from) => {
    const rule = RULE.replace('{"hour": input.time.hour}', params)
      .replace('input.time.hour < 6', `${condition}\n\tinput.time.hour < 6`)
      .concat(
        condition === 's := sku' ? '\nsku := input.tool.arguments.sku if is_string(input.tool.arguments.sku)\n' : '',
      );
    const { compiled, findings } = await runGate(
      site({ 'site/night.rego': rule, 'site/tests/night.yaml': CASES }).dir,
      opa as Opa,
    );
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
    expect(compiled?.manifest.reasons['night.closed']?.from_arguments).toEqual(from);
  });

  it('R-70: what "check" refuses, "build" refuses and writes nothing, and no start serves it', async () => {
    const folder = site(changed('"grade": "deny"', '"grade": "denied"'));
    const before = readFileSync(join(folder.dir, 'compiled', 'manifest.json'), 'utf8');
    const env = { ...process.env, OPA: opa?.path ?? '' };
    for (const command of ['check', 'build']) {
      const { code, stderr } = await runCli(['policy', command, '--dir', folder.dir], { env });
      expect([command, code]).toEqual([command, 1]);
      expect(stderr).toMatch(/night\.rego:\d+ grade "denied" is none/);
    }
    expect(readFileSync(join(folder.dir, 'compiled', 'manifest.json'), 'utf8')).toBe(before);
    const yaml = join(folder.dir, 'connector.yaml');
    writeFileSync(join(folder.dir, 'clients.json'), '{"version":1,"clients":[]}', { mode: 0o600 });
    writeFileSync(
      yaml,
      'version: 1\nlisten: { port: 0 }\nidentity: { keys: { file: clients.json } }\nstate_dir: state\nbackends: {}\ntools: {}\npolicy: { dir: ., allow_unknown_names: true }\n',
    );
    const served = await runCli(['serve', '--config', yaml], { env });
    expect(served.code).toBe(1);
    expect(served.stderr).toMatch(
      /is not served, because "sallyport policy check" refuses it:\n.*grade "denied" is none/,
    );
    const bare = await runCli(['serve', '--config', yaml], { env: { ...process.env, PATH: '/nonexistent', OPA: '' } });
    expect(bare.code).toBe(1);
  }, 60_000);

  it('names of a connector.yaml: roles, tools, backends, arguments, and what an audit list lacks', async () => {
    const names = configuredNames({
      tools: {
        stock_get: {
          effect: 'read',
          arguments: { type: 'object', properties: { sku: { type: 'string' } } },
          audit: [],
          result: { schema: { type: 'object', properties: { purchase_price: {} } } },
        },
        pay: {
          effect: 'write',
          arguments: { type: 'object', properties: { amount: { type: 'integer', format: 'int64' } } },
          audit: ['amount'],
          result: {},
        },
      },
      backends: { inventory: {} },
      identity: { claims: { policy: ['tenant'] } },
    } as never);
    const check = async (condition: string, more = '') => {
      const folder = site({
        ...changed('input.time.hour < 6', condition),
        ...(more && { 'site/night.rego': RULE.replace('input.time.hour < 6', condition) + more }),
      });
      const { findings } = await runGate(folder.dir, opa as Opa, { names });
      return findings.map(({ level, message }) => `${level}: ${message}`).join('\n');
    };
    expect(await check('input.tool.name == "stock_gett"')).toMatch(
      /there is no tool "stock_gett"; did you mean "stock_get"\?/,
    );
    expect(await check('input.client.claims.tenat == "acme"')).toMatch(
      /identity\.claims\.policy does not name "tenat"/,
    );
    expect(await check('input.tool.backend == "inventry"')).toMatch(
      /there is no backend "inventry"; did you mean "inventory"\?/,
    );
    expect(await check('"contractr" in input.client.roles')).toMatch(/there is no role "contractr"/);
    expect(await check('some role in input.client.roles\n\trole == "boss"')).toMatch(/there is no role "boss"/);
    expect(await check('input.tool.arguments.amout > 1000')).toMatch(
      /no tool has an argument "amout"; did you mean "amount"\?/,
    );
    expect(await check('input.tool.arguments.sku == "A-1"')).toMatch(
      /warning: reads argument "sku", which the audit list of stock_get lacks/,
    );
    expect(await check('input.tool.arguments.amount > 1000')).toMatch(
      /error: argument "amount" of pay may arrive as text/,
    );
    const guarded = `\n${METADATA.replaceAll('night.closed', 'night.no_number')}findings contains {\n\t"grade": "deny",\n\t"reason": {"code": "night.no_number", "params": {}},\n\t"obligations": [],\n} if {\n\tinput.tool.name == "pay"\n\tnot is_number(input.tool.arguments.amount)\n}\n`;
    expect(await check('input.tool.arguments.amount > 1000', guarded)).not.toMatch(/may arrive as text/);
    const masks =
      '\nmasks contains {"pointers": ["/purchase_prize"], "except_roles": []} if input.tool.name == "stock_get"\n';
    expect(await check('input.time.hour < 5', masks)).toMatch(
      /stock_get: "\/purchase_prize" is nowhere in the output schema of the tool, so it hides nothing; did you mean "purchase_price"\?/,
    );
  }, 60_000);

  it('R-71: a Rego test through an entrypoint makes a rule fire, and one that asks the package alone does not', async () => {
    const test = (asks: string) => `package night_test

import data.sallyport
import data.sallyport.fixtures
import data.site.night

test_a_write_at_night_is_denied if {
	call := object.union(fixtures.call, {"time": {"hour": 3}, "tool": {"effect": "write"}})
	found := ${asks} with input as call with data.settings as fixtures.settings
	count(found) > 0
}
`;
    const through = site({
      'site/tests/night.yaml': 'cases: []\n',
      'site/tests/night_test.rego': test('sallyport.decision'),
    });
    const { findings } = await runGate(through.dir, opa as Opa);
    expect(findings.map(({ message }) => message).join('\n')).not.toMatch(/no case or test makes this rule fire/);
    const alone = site({
      'site/tests/night.yaml': 'cases: []\n',
      'site/tests/night_test.rego': test('night.findings'),
    });
    expect((await runGate(alone.dir, opa as Opa)).findings.map(({ message }) => message).join('\n')).toMatch(
      /no case or test makes this rule fire/,
    );
  });

  it('the findings are SARIF 2.1.0 with rule, level, file and line', async () => {
    const { findings } = await runGate(site(changed('"grade": "deny"', '"grade": "denied"')).dir, opa as Opa);
    const log = sarif(findings) as {
      version: string;
      runs: { results: { ruleId: string; level: string; locations: unknown[] }[] }[];
    };
    expect(log.version).toBe('2.1.0');
    expect(log.runs[0]?.results[0]).toMatchObject({
      ruleId: 'grade',
      level: 'error',
      locations: [{ physicalLocation: { region: { startLine: 10 } } }],
    });
  });
});

it.skipIf(!opa)('the rule and the case of docs/policies.md pass the gate as they stand there (needs OPA)', async () => {
  const text = readFileSync(join(PACKAGE_ROOT, 'docs', 'policies.md'), 'utf8');
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? '';
  const folder = site({ 'site/night.rego': block('rego'), 'site/tests/night.yaml': block('yaml') });
  expect((await runGate(folder.dir, opa as Opa)).findings).toEqual([]);
});

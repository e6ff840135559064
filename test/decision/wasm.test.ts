// The lean way into the module answers as opa-wasm does, and what is remembered of it is what was decided.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { loadBundle } from '../../src/decision/bundle.ts';
import { withMerged } from '../../src/decision/data/merge.ts';
import { createEvaluator } from '../../src/decision/evaluator.ts';
import { inputText } from '../../src/decision/input-text.ts';
import { ENTRYPOINT } from '../../src/decision/manifest.ts';
import type { DecisionInput } from '../../src/decision/schema.ts';
import { instantiate } from '../../src/decision/wasm.ts';
import { loadCases } from '../../src/policy/cases.ts';

const { loadPolicySync } = createRequire(import.meta.url)(
  '@open-policy-agent/opa-wasm',
) as typeof import('@open-policy-agent/opa-wasm');

const bundle = await loadBundle(join(PACKAGE_ROOT, 'policies'), () => {
  throw new Error('the compiled policy is stale');
});
const { module, settings } = bundle;
const cases = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), settings);
const lean = instantiate(module, { settings });
const plain = loadPolicySync(module, { initial: 8, maximum: 256 });
plain.setData({ settings });
const [base] = cases.map(({ input }) => input) as [DecisionInput];

const both = (input: DecisionInput) => ({
  lean: JSON.parse(lean.evaluate(JSON.stringify(input), lean.entrypoints[ENTRYPOINT] as number)),
  plain: plain.evaluate(input, ENTRYPOINT),
});

/** Changes of one input: texts with every kind of character, numbers of every size, and arguments of any form. */
const changes = fc.record({
  user_agent: fc.string({ unit: 'binary', maxLength: 300 }),
  roles: fc.array(fc.constantFrom('clerk', 'manager', 'nobody', ''), { maxLength: 4 }),
  arguments: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 }),
  calls: fc.nat(20_000),
  age: fc.nat(100_000),
  session: fc.boolean(),
  seen: fc.boolean(),
  network: fc.constantFrom('127.0.0.0/24', '10.1.2.0/24', '2001:db8::/64'),
});

function changed(change: ReturnType<typeof changes.generate>['value']): DecisionInput {
  const session = base.session && { ...base.session, token_age_seconds: change.age, age_seconds: change.age };
  return {
    ...base,
    client: { ...base.client, user_agent: change.user_agent, roles: change.roles, network: change.network },
    tool: { ...base.tool, arguments: change.arguments as never },
    session: change.session ? session : null,
    usage: { ...base.usage, calls_1m: change.calls },
    replay: { ...base.replay, seen: change.seen },
  } as DecisionInput;
}

it('R-36: the lean binding and opa-wasm answer alike on every case', () => {
  expect(cases.length).toBeGreaterThan(50);
  for (const { input } of cases) {
    const answers = both(input);
    expect(answers.lean).toEqual(answers.plain);
  }
});

it('R-36: and on generated input, one after the other in the same memory', () => {
  fc.assert(
    fc.property(changes, (change) => {
      const answers = both(changed(change));
      expect(answers.lean).toEqual(answers.plain);
    }),
    { numRuns: 3000 },
  );
});

it('R-35: an input larger than the memory makes it grow, and the next small one is answered as before', () => {
  const large = { ...base, tool: { ...base.tool, arguments: { text: 'ä€😀'.repeat(100_000) } } } as DecisionInput;
  expect(both(large).lean).toEqual(both(large).plain);
  expect(both(base).lean).toEqual(both(base).plain);
});

it('R-36: what the policy is asked with and what is on record is the text of the input, byte for byte', () => {
  fc.assert(
    fc.property(changes, (change) => {
      const input = changed(change);
      const names = Object.keys(input.tool.arguments);
      const client = {};
      const all = inputText(input, names, client);
      expect(inputText(input, names, client).text).toBe(all.text);
      const elsewhere = { ...input, client: { ...input.client, ip: '192.0.2.1' } };
      expect(inputText(elsewhere, names, client).text).toBe(JSON.stringify(elsewhere));
      expect(all.text).toBe(JSON.stringify(input));
      expect(all.logged.text).toBe(all.text);
      expect(all.erased).toEqual([]);
      const some = names.slice(1);
      const kept = Object.fromEntries(Object.entries(input.tool.arguments).filter(([name]) => some.includes(name)));
      const part = inputText(input, some);
      expect(part.text).toBe(all.text);
      expect(part.logged.text).toBe(JSON.stringify({ ...input, tool: { ...input.tool, arguments: kept } }));
      expect(part.erased).toHaveLength(names.length - some.length);
    }),
    { numRuns: 1000 },
  );
});

describe('R-72: a role that lists many tools by name', () => {
  const listing = (roles: number, tools: string[]) => {
    const { merged: _merged, ...plain } = settings;
    const names = ['clerk', ...Array.from({ length: roles - 1 }, (_, i) => `role_${i}`)];
    const table = Object.fromEntries(names.map((role) => [role, { tools }]));
    const data = { settings: withMerged({ ...plain, access: { ...plain.access, roles: table } }) };
    return createEvaluator({ module, data, budgetMs: 1000 });
  };
  const named = Array.from({ length: 700 }, (_, i) => `tool_number_${i}`);
  const tools = [...named, 'another'].map((name) => ({ name, backend: 'inventory', effect: 'read' as const }));

  it('is shown each of them and no other', () => {
    const visible = listing(50, named).visible({ version: 1, client: { ...base.client, roles: ['clerk'] }, tools });
    expect(visible).toEqual({ ok: true, names: new Set(named) });
  });

  it('and settings that do not fit the memory of the policy are an error at the start that says so', () => {
    expect(() => listing(300, named)).toThrow(/the settings do not fit the 16 MiB/);
  });
});

describe('R-35: an answer that comes late', () => {
  afterEach(() => void vi.restoreAllMocks());
  const evaluator = createEvaluator({ module, data: { settings }, budgetMs: 5 });
  /** The time that passes during each evaluation, in milliseconds. */
  const taking = (...ms: number[]) => {
    let now = 0n;
    let calls = 0;
    vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => {
      if (calls++ % 2 === 1) now += BigInt((ms.shift() ?? 0) * 1e6);
      return now;
    });
  };

  it('is asked once more, because the process may have been put aside', () => {
    taking(50, 1);
    expect(evaluator.evaluate(base)).toMatchObject({ ok: true, nanoseconds: 1e6 });
  });

  it('is refused when it is late again', () => {
    taking(50, 60, 1);
    expect(evaluator.evaluate(base)).toEqual({
      ok: false,
      code: 'decision.over_budget',
      detail: '60 ms',
      nanoseconds: 60e6,
    });
  });
});

it('R-35: what is remembered of a decision cannot be changed by whoever gets it', () => {
  const evaluator = createEvaluator({ module, data: { settings }, budgetMs: 1000 });
  const first = evaluator.evaluate(base);
  if (!first.ok) throw new Error(first.detail);
  expect(() => first.decision.reasons.push({ code: 'x.y', params: {} })).toThrow();
  const second = evaluator.evaluate(base);
  expect(second.ok && second.decision).toBe(first.decision);
});

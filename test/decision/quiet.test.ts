// The rule for the usual call saves time and nothing else: with it and without it the policy decides every call alike.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { withMerged } from '../../src/decision/data/merge.ts';
import { policyPaths } from '../../src/decision/data/paths.ts';
import { readSettingsAt } from '../../src/decision/data/read.ts';
import { ENTRYPOINT } from '../../src/decision/manifest.ts';
import { type DecisionInput, inputSchema } from '../../src/decision/schema.ts';
import type { LoadedSettings, Settings } from '../../src/decision/settings.ts';
import { instantiate } from '../../src/decision/wasm.ts';
import { loadCases } from '../../src/policy/cases.ts';
import { compile } from '../../src/policy/compiler.ts';
import type { Opa } from '../../src/policy/opa.ts';

const opa = inject('opa');
const root = mkdtempSync(join(tmpdir(), 'sallyport-quiet-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SHIPPED = join(PACKAGE_ROOT, 'policies');
const EXAMPLES = join(PACKAGE_ROOT, 'examples/policies');
const sites = readdirSync(join(EXAMPLES, 'site')).filter((name) => name.endsWith('.rego'));

/** The shipped policy with rules of the example site, with its rule for the usual call or without it. */
async function compiled(name: string, site: readonly string[], usual: boolean): Promise<WebAssembly.Module> {
  const dir = join(root, `${name}-${usual}`);
  for (const part of ['sallyport', 'schemas', 'capabilities.json'])
    cpSync(join(SHIPPED, part), join(dir, part), { recursive: true });
  cpSync(join(EXAMPLES, 'data.yaml'), join(dir, 'data.yaml'));
  cpSync(join(EXAMPLES, 'site/settings.schema.json'), join(dir, 'site/settings.schema.json'));
  for (const file of site) cpSync(join(EXAMPLES, 'site', file), join(dir, 'site', file));
  if (!usual) {
    writeFileSync(join(dir, 'sallyport/quiet/quiet.rego'), 'package sallyport.quiet\n\ncall if false\n');
    const file = join(dir, 'sallyport/decision.rego');
    const whole = readFileSync(file, 'utf8');
    const long = whole.replace(/^decision := .*? if \{.*?^\} else := /ms, 'decision := ');
    if (long === whole) throw new Error('the short way to a decision was not found');
    writeFileSync(file, long);
  }
  return new WebAssembly.Module(new Uint8Array((await compile(dir, opa as Opa)).wasm));
}

const { settings } = readSettingsAt(policyPaths(EXAMPLES));
const cases = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), readSettingsAt(policyPaths(SHIPPED)).settings);
const [base] = cases.map(({ input }) => input) as [DecisionInput];

/** Now and then something else than usual. */
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 25, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));
const around = (...limits: number[]) => mostly(0, ...limits.flatMap((limit) => [limit - 1, limit, limit + 1]));
const NETWORKS = ['10.1.2.0/24', '10.9.9.0/24', '2001:db8::/64'] as const;
const ADDRESSES = { '10.1.2.0/24': '10.1.2.3', '10.9.9.0/24': '10.9.9.9', '2001:db8::/64': '2001:db8::1' } as const;
const place = fc.constantFrom(...NETWORKS).map((network) => ({ ip: ADDRESSES[network], network }));
const usualPlace = { ip: '10.1.2.3', network: '10.1.2.0/24' };
const places = fc.oneof(
  { weight: 25, arbitrary: fc.constant(usualPlace) },
  place,
  fc.constant({ ...usualPlace, ip: '10.1.2.4' }),
);
const key = mostly<string | null>(null, 'key-1', 'key-2');
const visit = fc.record(
  {
    network: fc.constantFrom(...NETWORKS),
    calls: fc.constant(3),
    last_seen_seconds: fc.constantFrom(0, 119, 120, 3000),
    returned_seconds: fc.constantFrom(0, 119, 120),
    away_seconds: fc.constantFrom(0, 119, 120),
    returned_from: fc.constantFrom(...NETWORKS),
    refused: fc.constant(true as const),
  },
  { requiredKeys: ['network', 'calls', 'last_seen_seconds'] },
);
const back = { returned_seconds: 3, away_seconds: 60, returned_from: '10.9.9.0/24' };
const here = { network: usualPlace.network, calls: 41, last_seen_seconds: 12 };

const inputs: fc.Arbitrary<DecisionInput> = fc
  .record({
    at: places,
    roles: mostly(['clerk'], [], ['manager'], ['trainee'], ['contractor', 'clerk'], ['on_call'], ['nobody', '']),
    scopes: mostly(['stock:write'], [], ['other']),
    subject: mostly('alice', 'mallory'),
    key,
    expires: mostly<number | null>(560, null, 1, 0, -1),
    claims: mostly<Record<string, string> | undefined>({ tenant: 'A' }, undefined, { tenant: 'B' }),
    hour: fc.constantFrom(3, 9, 22),
    freeze: mostly<object[] | undefined>(
      undefined,
      [],
      [{ scope: 'tool', name: 'stock_get', operator: 'a', reason: 'b', until: null }],
    ),
    tool: mostly('stock_get', 'stock_adjust', 'stock_list', 'stock_write_off', 'unknown'),
    backend: mostly('inventory', 'payroll'),
    effect: mostly<'read' | 'write' | 'destructive'>('read', 'write', 'destructive'),
    arguments: mostly<object>({ sku: 'A-1' }, {}, { sku: 'A-1', delta: 5000 }, { delta: -3, confirm: true }),
    session: mostly(true, false),
    bound: fc.record({
      client_id: mostly('agent-7', 'agent-8'),
      subject: mostly('alice', 'bob'),
      key,
      ipv4: fc.oneof({ weight: 25, arbitrary: fc.constant(usualPlace) }, place, fc.constant(null)),
      ipv6: mostly(null, { ip: ADDRESSES['2001:db8::/64'], network: '2001:db8::/64' }),
    }),
    token_age_seconds: around(60, 300),
    age_seconds: around(28_800),
    idle_seconds: around(900),
    token_uses: around(1, 500),
    calls_1m: around(600),
    calls_1h: around(1, 12_000),
    denials_1h: around(1000),
    in_flight: around(128),
    networks: fc.oneof(
      { weight: 20, arbitrary: fc.constant<object[]>([here]) },
      {
        weight: 2,
        arbitrary: fc.constant<object[]>([
          { ...here, ...back },
          { ...here, network: back.returned_from },
        ]),
      },
      fc.array(visit, { maxLength: 3 }),
    ),
    dropped: mostly<number | undefined>(undefined, 0, 119, 120),
    forgotten: mostly(false, true),
    used: mostly<{ calls_90d: number; last_seconds: number | null } | undefined>(
      { calls_90d: 3, last_seconds: 60 },
      undefined,
      { calls_90d: 0, last_seconds: null },
    ),
    replay: fc.record(
      {
        source: mostly<'rpc_id' | 'dpop_jti' | null>('rpc_id', 'dpop_jti', null),
        seen: mostly(false, true),
        first_seen_seconds: mostly<number | null>(null, 4),
        same_network: mostly<boolean | null>(null, true, false),
        history: mostly<'complete' | 'lost' | null>('complete', 'lost', null),
        handle: fc.constant('4c1d'),
        rpc_id: fc.constantFrom(7, 'seven'),
      },
      { requiredKeys: ['source', 'seen', 'first_seen_seconds', 'same_network'] },
    ),
  })
  .map(
    (g) =>
      ({
        ...base,
        time: { ...base.time, hour: g.hour },
        client: {
          ...base.client,
          ...g.at,
          roles: g.roles,
          scopes: g.scopes,
          subject: g.subject,
          ...(g.claims && { claims: g.claims }),
          auth: { ...base.client.auth, key: g.key, expires_in_seconds: g.expires },
        },
        tool: { name: g.tool, backend: g.backend, effect: g.effect, arguments: g.arguments as Record<string, unknown> },
        session: g.session
          ? {
              id: 'ab',
              generation: 1,
              token_age_seconds: g.token_age_seconds,
              age_seconds: g.age_seconds,
              idle_seconds: g.idle_seconds,
              token_uses: g.token_uses,
              bound: g.bound,
            }
          : null,
        ...(g.freeze && { freeze: g.freeze }),
        usage: {
          calls_1m: g.calls_1m,
          calls_1h: g.calls_1h,
          denials_1h: g.denials_1h,
          in_flight: g.in_flight,
          seconds_since_last_call: 3,
          networks: g.networks,
          ...(g.dropped !== undefined && { networks_dropped_seconds: g.dropped }),
          ...(g.used && { tool: g.used }),
          forgotten: g.forgotten,
        },
        replay: g.replay,
      }) as unknown as DecisionInput,
  );

const grade = fc.constantFrom<'allow' | 'rotate' | 'deny'>('allow', 'rotate', 'deny');
const limited = { limit_seconds: fc.constantFrom(60, 300, 900), grade };
/** Overrides as a backend, a tool or a role may have them. They are merged as those of data.yaml, and checked no more. */
const overrides = fc.record(
  {
    binding: fc.record(
      {
        client: grade,
        key: grade,
        key_added: grade,
        ip: grade,
        network: grade,
        network_added: grade,
        first_crossing: grade,
        concurrent_networks: grade,
        overlap_seconds: fc.constantFrom(0, 119, 120, 121),
      },
      { requiredKeys: [] },
    ),
    lifetime: fc.record(
      {
        token_age: fc.record(limited),
        idle: fc.record(limited),
        token_uses: fc.record({ limit: fc.constantFrom(1, 2, 500), grade }),
      },
      { requiredKeys: [] },
    ),
    replay: fc.record(
      {
        seen: fc.constantFrom('allow', 'deny'),
        require_source_for: fc.subarray(['read', 'write', 'destructive']),
        history_lost: fc.constantFrom('rotate', 'deny'),
        revoke_on_other_network: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    usage: fc.record(
      {
        calls_per_minute: fc.constantFrom(1, 600),
        calls_per_hour: fc.constantFrom(1, 12_000),
        in_flight: fc.constantFrom(1, 128),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const general = fc.record({
  overrides,
  backends: fc.dictionary(fc.constantFrom('inventory', 'payroll'), overrides, { maxKeys: 2 }),
  tools: fc.dictionary(fc.constantFrom('stock_get', 'stock_adjust'), overrides, { maxKeys: 2 }),
  roles: fc.dictionary(fc.constantFrom('clerk', 'trainee', ''), overrides, { maxKeys: 2 }),
  networks: fc.constantFrom({}, { contractor: ['10.8.0.0/16'] }, { clerk: ['10.8.0.0/16'] }),
  places: fc.constantFrom({}, { office: ['10.1.2.0/24', '10.9.9.0/24'] }),
  scopes: fc.constantFrom({}, { stock_get: ['stock:read'] }, { stock_adjust: ['stock:write'] }),
});

function loaded({
  overrides: all,
  networks,
  places: known,
  scopes,
  ...tables
}: ReturnType<typeof general.generate>['value']): LoadedSettings {
  const { merged: _merged, ...plain } = settings;
  const group = (name: 'binding' | 'lifetime' | 'replay' | 'usage') => ({ ...plain[name], ...all[name] });
  return withMerged({
    ...plain,
    ...tables,
    access: { ...plain.access, networks, scopes },
    binding: { ...group('binding'), places: known },
    lifetime: group('lifetime'),
    replay: group('replay'),
    usage: group('usage'),
  } as Settings);
}

const sorted = (result: string) => {
  const [{ result: decision }] = JSON.parse(result) as [{ result: Record<string, unknown[] | string> }];
  return JSON.stringify(decision, (_name, value: unknown) =>
    Array.isArray(value) ? value.map((item) => JSON.stringify(item)).sort() : value,
  );
};

describe.skipIf(!opa)('R-72: the rule for the usual call changes no decision', () => {
  const kinds: [string, string[]][] = [
    ['no rules of a site', []],
    ...sites.map((file): [string, string[]] => [file, [file]]),
    ['all of them', sites],
  ];
  const EACH = Math.ceil(20_000 / kinds.length);

  it.each(kinds)(
    'with %s',
    async (name, site) => {
      const [short, long] = await Promise.all([compiled(name, site, true), compiled(name, site, false)]);
      let usual = 0;
      let asked = 0;
      fc.assert(
        fc.property(general, fc.array(inputs, { minLength: 50, maxLength: 50 }), (change, calls) => {
          const data = { settings: loaded(change) };
          const [one, other] = [instantiate(short, data), instantiate(long, data)];
          for (const input of calls) {
            const text = JSON.stringify(input);
            const answer = sorted(one.evaluate(text, one.entrypoints[ENTRYPOINT] as number));
            expect(answer).toBe(sorted(other.evaluate(text, other.entrypoints[ENTRYPOINT] as number)));
            asked += 1;
            if (answer.includes('"outcome":"allow"')) usual += 1;
          }
        }),
        { numRuns: Math.ceil(EACH / 50) },
      );
      // A search in which hardly any call is usual, or every call is, would show nothing.
      expect(usual / asked).toBeGreaterThan(0.1);
      expect(usual / asked).toBeLessThan(0.9);
    },
    60_000,
  );

  it('the inputs are those that the connector can ask with', () => {
    for (const input of fc.sample(inputs, 300)) expect(() => inputSchema.parse(input)).not.toThrow();
  });
});

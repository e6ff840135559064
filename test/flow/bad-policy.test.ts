// A policy that does not answer as it should: the call is refused, and the audit log says so. The gate compiles none of
// these, so their verdict is forged.
import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { Opa } from '../../src/policy/opa.ts';
import { type Harness, type HarnessOptions, reasons, startHarness } from '../support/harness.ts';
import { forgedFolder, type PolicyFolder } from '../support/policies.ts';

const opa = inject('opa');
let h: Harness;
let folder: PolicyFolder | undefined;

async function start(options?: HarnessOptions): Promise<Harness> {
  h = await startHarness(options);
  return h;
}

afterEach(async () => {
  await h.close();
  folder?.remove();
  folder = undefined;
});

const METADATA = '# METADATA\n# schemas:\n#   - input: schema.input\n';
const LISTING = 'visible := {tool.name | some tool in input.tools}';

describe.skipIf(opa === null)('attack 26: a policy that does not answer as it should (needs OPA)', () => {
  /** Starts the connector on a policy with this decision document, compiled to WASM. */
  async function decidedBy(rego: string): Promise<void> {
    folder = await forgedFolder(opa as Opa, {
      'sallyport/decision.rego': `${METADATA}package sallyport\n\n${LISTING}\n\n${rego}\n`,
      'capabilities.json': execFileSync(opa?.path ?? '', ['capabilities', '--current']).toString(),
    });
    await start({ policyDir: folder.dir });
  }
  const refusedWith = async (code: string) => {
    const answer = await h.call('stock_list');
    expect(answer.status).toBe(200);
    expect(reasons(answer)).toEqual([code]);
    expect((await h.audit('decision')).at(-1)).toMatchObject({
      decided_by: 'connector',
      result: { outcome: 'deny', reasons: [{ code }] },
    });
    expect(h.legacy.stats().logins).toBe(0);
  };
  const allow = '"reasons": [{"code": "access.role", "params": {}}], "obligations": []';

  it('R-35: an undefined decision refuses the call', async () => {
    await decidedBy('decision := {"outcome": "allow"} if input.version == 2');
    await refusedWith('decision.undefined');
  });

  it('R-35: an evaluation that throws refuses the call, and the evaluator goes on working afterwards', async () => {
    await decidedBy(
      `decision := {"outcome": "allow", ${allow}} if {\n\tinput.tool.name == "stock_get"\n}\n\ndecision := {"outcome": "allow", ${allow}} if {\n\tinput.tool.name == "stock_list"\n\ttime.now_ns() > 0\n}`,
    );
    await refusedWith('decision.error');
    expect((await h.call('stock_get', { sku: 'A-1' })).body.result.isError).toBeUndefined();
  });

  it('R-35: a rule that reaches the memory limit refuses the call, and the evaluator recovers', async () => {
    await decidedBy(
      `decision := {"outcome": "allow", ${allow}} if input.tool.name == "stock_get"\n\ndecision := {"outcome": "allow", ${allow}} if {\n\tinput.tool.name == "stock_list"\n\tcount([x | some x in numbers.range(1, 5000000)]) > 0\n}`,
    );
    await refusedWith('decision.error');
    expect((await h.call('stock_get', { sku: 'A-1' })).body.result.isError).toBeUndefined();
  });

  it.each([
    ['"Allow" with a capital', `{"outcome": "Allow", ${allow}}`, 'decision.malformed'],
    ['true', 'true', 'decision.malformed'],
    [
      'an allow whose only reason is that nobody allows',
      '{"outcome": "allow", "reasons": [{"code": "access.no_rule", "params": {}}], "obligations": []}',
      'decision.malformed',
    ],
    [
      'an allow with the reason of a denial',
      '{"outcome": "allow", "reasons": [{"code": "usage.minute_rate", "params": {}}], "obligations": []}',
      'decision.malformed',
    ],
    [
      'a rotate because nobody allows',
      '{"outcome": "rotate", "reasons": [{"code": "access.no_rule", "params": {}}], "obligations": []}',
      'decision.malformed',
    ],
    ['no reason', '{"outcome": "allow", "reasons": [], "obligations": []}', 'decision.malformed'],
    ['an extra field', `{"outcome": "allow", ${allow}, "override": true}`, 'decision.malformed'],
    [
      'an unknown obligation',
      '{"outcome": "allow", "reasons": [{"code": "access.role", "params": {}}], "obligations": [{"type": "log_to_moon"}]}',
      'decision.unknown_obligation',
    ],
  ])('R-35, R-70: a malformed decision refuses the call: %s', async (_name, document, code) => {
    await decidedBy(`decision := ${document}`);
    await refusedWith(code);
  });

  it('R-35: an obligation that contradicts the outcome refuses the call', async () => {
    await decidedBy(
      'decision := {"outcome": "allow", "reasons": [{"code": "access.role", "params": {}}], "obligations": [{"type": "revoke_session"}]}',
    );
    expect(reasons(await h.call('stock_list'))).toEqual(['obligation.failed']);
    expect(h.legacy.stats().logins).toBe(0);
  });

  it('R-35: a mask on a result without fields refuses the call instead of letting the result through', async () => {
    await decidedBy(
      'decision := {"outcome": "allow", "reasons": [{"code": "access.role", "params": {}}], "obligations": [{"type": "mask", "pointers": ["/a"]}]}',
    );
    expect(reasons(await h.call('order_list'))).toEqual(['obligation.failed']);
  });
});

describe.skipIf(opa === null)('R-35: a policy that cannot say what a client may see (needs OPA)', () => {
  it.each([
    ['undefined', 'visible := 1 if input.nothing', 'decision.undefined'],
    ['no list', 'visible := "all"', 'decision.malformed'],
    ['a throw', 'visible := {x | some x in numbers.range(1, 100000000)}', 'decision.error'],
  ])('%s: no tool is shown, and the failure is on record', async (_name, visible, code) => {
    folder = await forgedFolder(opa as Opa, {
      'sallyport/decision.rego': `package sallyport\n\n${visible}\n\ndecision := {"outcome": "deny"}\n`,
      'capabilities.json': execFileSync(opa?.path ?? '', ['capabilities', '--current']).toString(),
    });
    await start({ policyDir: folder.dir });
    const answer = await h.rpc('tools/list');
    expect(answer.body).toMatchObject({ error: { code: -32603, message: 'The tools cannot be listed' } });
    expect((await h.audit('event')).at(-1)).toMatchObject({ event: 'listing_refused', code });
  });
});

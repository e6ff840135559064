import { expect, it } from 'vitest';
import { createListing } from '../../src/mcp/tools.ts';

const tool = (name: string) => ({
  backend: 'b',
  effect: 'read' as const,
  description: `Tool ${name}`,
  arguments: { type: 'object' },
  result: {},
  open_world: true,
});
const scope = {
  requestId: 'r',
  client: { id: 'c', subject: 's', issuer: 'i', roles: [], scopes: [], auth: { issuedAt: null, expiresAt: null } },
  ip: '127.0.0.1',
  network: '127.0.0.0/24',
  userAgent: '',
  handle: null,
};

it('R-14: what a client sees is asked of the policy each time, and only the text of a list is kept', async () => {
  let shown = ['a', 'c'];
  let asked = 0;
  const refused: string[] = [];
  const list = createListing({
    tools: { c: tool('c'), a: tool('a'), b: tool('b') } as never,
    evaluator: {
      visible() {
        asked += 1;
        return shown.length > 0
          ? { ok: true, names: new Set(shown) }
          : { ok: false, code: 'decision.undefined', detail: 'none' };
      },
    },
    clock: { now: () => 0 },
    frozen: async () => undefined,
    onRefused: (_scope, code) => void refused.push(code),
  });
  const names = async () =>
    JSON.parse((await list(scope as never))?.text ?? '{}').tools?.map(({ name }: { name: string }) => name);
  expect(await names()).toEqual(['a', 'c']);
  const first = await list(scope as never);
  expect(await list(scope as never)).toBe(first);
  shown = ['b'];
  expect(await names()).toEqual(['b']);
  shown = [];
  expect(await names()).toBeUndefined();
  expect(refused).toEqual(['decision.undefined']);
  expect(asked).toBe(5);
});

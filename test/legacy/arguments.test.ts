// the record that a client names is the one that policy, log and backend see.
import { describe, expect, it } from 'vitest';
import { call, connect, connector, ok, serve } from '../support/one-app.ts';

const BIG = '9007199254740993';
const TOOLS = `
item:
  backend: app
  description: Item
  effect: read
  arguments: { type: object, properties: { id: { type: integer }, size: { type: integer, default: 20 }, q: { type: string } }, required: [id] }
  request: { path: "/item/{id}", query: { size: "{size}", q: "{q}" } }
  result: { as: json }
  audit: [id, size]
large:
  backend: app
  description: Large
  effect: read
  arguments: { type: object, properties: { id: { type: integer, format: int64 } }, required: [id] }
  request: { path: "/item/{id}" }
  result: { as: json }
  audit: [id]
change:
  backend: app
  description: Change
  effect: write
  arguments: { type: object, properties: { price: { type: number }, note: { type: [string, "null"] }, size: { type: integer, default: 20 } } }
  request: { method: POST, path: /change, json: { price: "{price}", note: "{note}", size: "{size}" } }
  result: { as: json }
  audit: [price, note, size]
`;
let id = 1;
const raw = (tool: string, args: string) =>
  connector.post(
    `{"jsonrpc":"2.0","id":${id++},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`,
  );

async function start(): Promise<string[]> {
  const heard: string[] = [];
  await serve(async ({ path, body, response }) => {
    heard.push(`${path}${body}`);
    return ok(response, `{"id":${BIG}}`, { 'content-type': 'application/json' });
  });
  await connect('expired: [{ status: 401 }]', TOOLS);
  return heard;
}
const lastInput = async () => (await connector.audit('decision')).at(-1)?.input?.tool.arguments;

describe('R-87: numbers', () => {
  it.each([
    ['item', '{"id":7}', '/item/7?size=20', { id: 7, size: 20 }],
    ['item', '{"id":"7","q":null}', '/item/7?size=20', { id: 7, size: 20 }],
    ['item', '{"id":1e3}', '/item/1000?size=20', { id: 1000, size: 20 }],
    ['item', '{"id":9007199254740991}', '/item/9007199254740991?size=20', { id: 9007199254740991, size: 20 }],
    ['large', `{"id":"${BIG}"}`, `/item/${BIG}`, { id: BIG }],
    ['change', '{"price":0.0000001}', '/change{"price":1e-7}', { price: 1e-7 }],
    ['change', '{"price":1.50,"note":null}', '/change{"price":1.5,"note":null}', { price: 1.5, note: null }],
  ])('%s %s reaches backend, policy and log as it was meant', async (tool, args, request, input) => {
    const heard = await start();
    const answer = await raw(tool, args);
    expect(answer.body.result.isError).toBeUndefined();
    expect(heard).toEqual([request]);
    expect(await lastInput()).toEqual(input);
  });

  it.each([
    ['item', `{"id":${BIG}}`, 'at most 9007199254740991'],
    ['item', '{"id":1e21}', 'send one with fewer digits'],
    ['large', `{"id":${BIG}}`, 'send it as text, in quotes'],
    ['change', '{"price":1e400}', 'send one with fewer digits'],
    ['item', `{"id":"${BIG}"}`, 'at most 9007199254740991'],
  ])('%s %s is refused, with how to send it', async (tool, args, hint) => {
    const heard = await start();
    const answer = await raw(tool, args);
    expect(answer.text).toContain(hint);
    expect(heard).toEqual([]);
    expect(await connector.audit('decision')).toMatchObject([
      { result: { outcome: 'deny', reasons: [{ code: 'call.invalid_arguments' }] } },
    ]);
  });

  it('the text that an answer gives for a large number is what names it in the next call', async () => {
    const heard = await start();
    const first = await call('large', { id: 1 });
    await call('large', first.body.result.structuredContent);
    expect(heard).toEqual(['/item/1', `/item/${BIG}`]);
    const { tools } = (await connector.rpc('tools/list')).body.result;
    const { inputSchema } = tools.find(({ name }: { name: string }) => name === 'large');
    expect(inputSchema.properties.id).toEqual({
      type: ['integer', 'string'],
      format: 'int64',
      pattern: '^-?(0|[1-9][0-9]*)$',
    });
  });
});

describe('R-87: keys', () => {
  it.each([
    ['in the arguments', '{"id":1,"id":2}'],
    ['spelt in two ways', '{"id":1,"\\u0069d":2}'],
  ])('the same key twice %s is refused before anything is decided', async (_where, args) => {
    const heard = await start();
    const answer = await raw('item', args);
    expect([answer.status, answer.body.error]).toEqual([400, 'bad_request']);
    expect([heard, await connector.audit('decision')]).toEqual([[], []]);
  });

  it('the same key twice in the message is refused', async () => {
    await start();
    const two = '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"item"}}';
    expect((await connector.post(two)).status).toBe(400);
  });

  it('an argument called __proto__ is refused like any that is not defined', async () => {
    const heard = await start();
    const answer = await raw('item', '{"id":7,"__proto__":{"x":1}}');
    expect(answer.text).toContain('has a property that is not defined');
    expect(heard).toEqual([]);
  });

  it('arguments that are null are none', async () => {
    await start();
    expect((await raw('page', 'null')).body.result.isError).toBeUndefined();
  });
});

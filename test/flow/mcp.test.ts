// MCP as clients speak it, the SDK's own client among them.
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, reasons, startHarness, until } from '../support/harness.ts';

let h: Harness;
beforeEach(async () => {
  h = await startHarness({ clients: { other: ['clerk'] } });
});
afterEach(() => h.close());

const initialize = (protocolVersion: string) =>
  h.rpc('initialize', { protocolVersion, capabilities: {}, clientInfo: { name: 't', version: '1' } });

describe('SDK client', () => {
  it('connects, lists in stable order the tools its role has, and calls one', async () => {
    const client = await h.sdkClient();
    expect(client.getServerVersion()).toMatchObject({ name: 'sallyport' });
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(['order_list', 'stock_adjust', 'stock_get', 'stock_list']);
    h.addClient('boss', ['manager']);
    await until(async () => (await h.rpc('ping', {}, { key: 'boss' })).status === 200, 'the client file to be read');
    const all = (await (await h.sdkClient({ key: 'boss' })).listTools()).tools;
    expect(all.map((tool) => tool.name)).toEqual([...tools.map((tool) => tool.name), 'stock_write_off']);
    expect(all.at(-1)?.annotations).toMatchObject({ destructiveHint: true, readOnlyHint: false });
    const result = await client.callTool({ name: 'stock_get', arguments: { sku: 'B-2' } });
    expect(result.structuredContent).toMatchObject({ sku: 'B-2' });
    await client.ping();
    await client.close();
  });

  it('progress of a call in flight reaches the client that asked for it', async () => {
    const client = await h.sdkClient();
    const steps: string[] = [];
    const result = await client.callTool({ name: 'stock_list' }, CallToolResultSchema, {
      onprogress: (p) => steps.push(`${p.progress}/${p.total} ${p.message}`),
    });
    expect(result.isError).toBeUndefined();
    expect(steps).toEqual(['1/3 decided', '2/3 calling the backend', '3/3 answered']);
    await client.close();
  });

  it('a cancelled call stops at the backend and is on record as cancelled', async () => {
    const client = await h.sdkClient();
    await client.callTool({ name: 'stock_list' });
    h.legacy.inject({ latencyMs: 3000 });
    const stop = new AbortController();
    const call = client.callTool({ name: 'stock_list' }, CallToolResultSchema, { signal: stop.signal });
    call.catch(() => {});
    await until(async () => (await h.audit('decision')).length === 2, 'the decision');
    stop.abort('enough');
    await expect(call).rejects.toThrow();
    await until(async () => (await h.audit('outcome')).at(-1)?.outcome === 'cancelled', 'the outcome');
    h.legacy.inject({ latencyMs: 0 });
    expect((await client.callTool({ name: 'stock_list' })).isError).toBeUndefined();
    await client.close();
  });
});

it.each([0, 1, 'text'])('a cancelled write (JSON-RPC id %s) is not on record as a success', async (id) => {
  const handle = await h.initialize();
  await h.call('stock_list', {}, { handle, id: 90 });
  h.legacy.inject({ latencyMs: 1500 });
  const call = h.call('stock_adjust', { sku: 'A-1', delta: 1 }, { handle, id });
  await until(async () => (await h.audit('decision')).length === 2, 'the decision');
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason: 5 } };
  expect((await h.post(cancelled, { 'mcp-session-id': handle })).status).toBe(202);
  expect((await call).status).toBe(202);
  await until(async () => (await h.audit('outcome')).length === 2, 'the outcome');
  expect((await h.audit('outcome')).at(-1)).toMatchObject({ outcome: 'cancelled', reasons: ['call.cancelled'] });
});

it('a client that hangs up while it receives progress does not disturb other calls', async () => {
  const handle = await h.initialize();
  h.legacy.inject({ latencyMs: 200 });
  const stop = new AbortController();
  const body = {
    jsonrpc: '2.0',
    id: 4,
    method: 'tools/call',
    params: { name: 'stock_list', _meta: { progressToken: 1 } },
  };
  const headers = {
    authorization: `Bearer ${h.key}`,
    'x-forwarded-for': '10.1.2.3',
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': handle,
  };
  const stream = await fetch(h.url, { method: 'POST', headers, body: JSON.stringify(body), signal: stop.signal });
  expect(stream.headers.get('content-type')).toBe('text/event-stream');
  stop.abort();
  await until(async () => (await h.audit('outcome')).length === 1, 'the outcome');
  expect((await h.rpc('ping')).status).toBe(200);
});

it('R-15: a cancellation reaches only calls of the same client', async () => {
  const [mine, theirs] = [await h.initialize(), await h.initialize({ key: 'other' })];
  await h.call('stock_list', {}, { handle: mine });
  h.legacy.inject({ latencyMs: 400 });
  const call = h.call('stock_list', {}, { handle: mine, id: 77 });
  await until(async () => (await h.audit('decision')).length === 2, 'the decision');
  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 77 } };
  const foreign = await h.rpc('ping', {}, { handle: theirs, key: 'other' });
  expect(foreign.status).toBe(200);
  const asOther = { authorization: `Bearer ${h.keys.get('other')}`, 'mcp-session-id': theirs };
  expect((await h.post(cancel, asOther)).status).toBe(202);
  expect((await h.post(cancel)).status).toBe(202);
  expect((await call).body.result.isError).toBeUndefined();
});

describe('protocol', () => {
  it.each([
    '2025-11-25',
    '2025-06-18',
    '2025-03-26',
    '2024-11-05',
  ])('protocol revision %s is supported', async (version) => {
    const answer = await initialize(version);
    expect(answer.body.result).toMatchObject({
      protocolVersion: version,
      capabilities: { tools: {} },
      serverInfo: { name: 'sallyport' },
    });
    expect(answer.headers.get('mcp-session-id')).toMatch(/^[\w-]+\.[\w-]+$/);
    const handle = answer.headers.get('mcp-session-id') ?? '';
    const next = await h.rpc('tools/list', {}, { handle, headers: { 'mcp-protocol-version': version } });
    expect(next.body.result.tools).toHaveLength(4);
  });

  it('initialize answers an unknown revision with the newest one; in the header it is refused', async () => {
    expect((await initialize('2024-10-07')).body.result.protocolVersion).toBe('2025-11-25');
    expect((await h.rpc('ping', {}, { headers: { 'mcp-protocol-version': '1999-01-01' } })).status).toBe(400);
  });

  it('R-16: a batch is refused as a whole', async () => {
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'stock_list' } };
    for (const batch of [[call, { ...call, id: 2 }], [call], []]) {
      const answer = await h.post(JSON.stringify(batch));
      expect([answer.status, answer.body.error.code]).toEqual([400, -32600]);
    }
    expect(await h.audit('decision')).toHaveLength(0);
  });

  it('notifications are accepted with 202 and no body', async () => {
    const answer = await h.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    expect([answer.status, answer.text]).toEqual([202, '']);
    expect((await h.post({ jsonrpc: '2.0', id: 1, result: {} })).status).toBe(202);
  });

  it.each([
    ['no version', { id: 1, method: 'ping' }, 400, -32600],
    ['a null id', { jsonrpc: '2.0', id: null, method: 'ping' }, 400, -32600],
    ['a fractional id', { jsonrpc: '2.0', id: 1.5, method: 'ping' }, 400, -32600],
    ['an object as id', { jsonrpc: '2.0', id: {}, method: 'ping' }, 400, -32600],
    ['a number as method', { jsonrpc: '2.0', id: 1, method: 5 }, 400, -32600],
    ['text', 'hello', 400, -32600],
    ['null', null, 400, -32600],
    ['an unknown method', { jsonrpc: '2.0', id: 1, method: 'resources/list' }, 200, -32601],
    ['a call without a name', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} }, 200, -32602],
    [
      'a call with a list as arguments',
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'stock_list', arguments: [] } },
      200,
      -32602,
    ],
    ['params that are a list', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: [] }, 400, -32600],
  ])('%s is answered with an error of fixed text', async (_name, body, status, code) => {
    const answer = await h.post(JSON.stringify(body));
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.body.error.message).toMatch(/^(Invalid request|Invalid params|Method not found)$/);
  });

  it('names of built-in object properties are neither tools nor arguments', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', ''])
      expect((await h.call(name)).body.error.code).toBe(-32602);
    const answer = await h.post(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock_get","arguments":{"__proto__":{"sku":"A-1"}}}}',
    );
    expect(reasons(answer)).toEqual(['call.invalid_arguments']);
  });

  it('a call without a handle has no replay source', async () => {
    await h.call('stock_list', {}, { id: 5 });
    await h.call('stock_list', {}, { id: 5 });
    expect((await h.audit('decision')).map((d) => d.input.replay)).toEqual(
      Array(2).fill({ source: null, seen: false, first_seen_seconds: null, same_network: null, history: null }),
    );
  });

  it('R-62: control characters from a client cannot break out of one line of the log', async () => {
    await h.rpc(
      'tools/call',
      { name: 'x"}\n{"type":"decision","forged":true}\r\u0000\u2028' },
      { headers: { 'user-agent': 'a\tb' } },
    );
    const records = await h.audit();
    expect(records.filter((r) => r.forged)).toHaveLength(0);
    expect(records.at(-1).type).toBe('outcome');
  });
});

// What is read past the SDK must be read as the SDK reads it.
import {
  CallToolRequestSchema,
  ErrorCode,
  type JSONRPCMessage,
  JSONRPCRequestSchema,
  RELATED_TASK_META_KEY,
} from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { exactJson, InexactNumber } from '../../src/formats/exact-json.ts';
import { readToolCall, type ToolCallParams } from '../../src/mcp/message.ts';

/** What the schemas of the SDK say; the two things that are meant otherwise are left as they are for us. */
function bySdk(message: JSONRPCMessage): ToolCallParams {
  if (!JSONRPCRequestSchema.safeParse(message).success) return { ok: false, code: ErrorCode.InvalidRequest };
  const { params } = message as { params?: { arguments?: unknown } };
  const given = params?.arguments === null ? { ...message, params: { ...params, arguments: {} } } : message;
  const parsed = CallToolRequestSchema.safeParse(given);
  if (!parsed.success || parsed.data.params.task !== undefined) return { ok: false, code: ErrorCode.InvalidParams };
  const { name, arguments: args = {}, _meta: meta } = parsed.data.params;
  return { ok: true, name, arguments: args as never, progressToken: meta?.progressToken };
}

const anything = fc.oneof(
  { depthSize: 'small' },
  fc.jsonValue({ maxDepth: 3 }),
  fc.constant(new InexactNumber('12345678901234567890')),
  fc.double(),
);
const maybe = <T>(likely: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: likely }, { weight: 1, arbitrary: anything });
const token = maybe(fc.oneof(fc.string(), fc.integer(), fc.double()));
const meta = maybe(
  fc.record(
    {
      progressToken: token,
      [RELATED_TASK_META_KEY]: maybe(
        fc.record({ taskId: maybe(fc.string()) }, { requiredKeys: [], noNullPrototype: true }),
      ),
      'x/y': fc.jsonValue(),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
);
const params = maybe(
  fc.record(
    {
      name: maybe(fc.string()),
      arguments: maybe(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { noNullPrototype: true })),
      _meta: meta,
      task: maybe(fc.record({ ttl: maybe(fc.nat()) }, { requiredKeys: [], noNullPrototype: true })),
      extra: fc.jsonValue(),
    },
    { requiredKeys: ['name'], noNullPrototype: true },
  ),
);
const messages = fc
  .record(
    {
      jsonrpc: fc.constant('2.0'),
      id: fc.oneof(fc.string({ maxLength: 20 }), fc.integer()),
      method: fc.constant('tools/call'),
      params,
      result: fc.jsonValue(),
    },
    { requiredKeys: ['jsonrpc', 'id', 'method'], noNullPrototype: true },
  )
  .filter((message) => !('result' in message) || message.params !== undefined);

it('R-66: a tools/call is read as by the schemas of the SDK, whatever it consists of', () => {
  fc.assert(
    fc.property(messages, (message) => {
      const read = readToolCall(message as JSONRPCMessage);
      const expected = bySdk(message as JSONRPCMessage);
      if (!read.ok || !expected.ok) return void expect(read).toEqual(expected);
      expect({ ...read, arguments: undefined }).toEqual({ ...expected, arguments: undefined });
      // The copy of the SDK has lost a member called "__proto__", and with it the reason to refuse it.
      expect(Object.keys(read.arguments).filter((name) => name !== '__proto__')).toEqual(
        Object.keys(expected.arguments),
      );
    }),
    { numRuns: 20_000 },
  );
});

it.each([
  ['{"name":"t"}', { ok: true, name: 't', arguments: {}, progressToken: undefined }],
  ['{"name":"t","arguments":null}', { ok: true, name: 't', arguments: {}, progressToken: undefined }],
  ['{"name":"t","arguments":12345678901234567890}', { ok: false, code: ErrorCode.InvalidParams }],
  ['{"name":"t","arguments":[]}', { ok: false, code: ErrorCode.InvalidParams }],
  ['{"name":7}', { ok: false, code: ErrorCode.InvalidParams }],
  ['{"name":"t","task":{}}', { ok: false, code: ErrorCode.InvalidParams }],
  ['{"name":"t","_meta":{"progressToken":1.5}}', { ok: false, code: ErrorCode.InvalidRequest }],
  ['{"name":"t","_meta":{"progressToken":"p"}}', { ok: true, name: 't', arguments: {}, progressToken: 'p' }],
  ['[]', { ok: false, code: ErrorCode.InvalidRequest }],
])('R-66: params %s', (text, expected) => {
  const exact = exactJson(text, JSON.parse(text));
  const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: exact.ok && exact.value };
  expect(readToolCall(message as JSONRPCMessage)).toEqual(expected);
});

it('R-17: a name called __proto__ among the arguments is kept, so that it can be refused', () => {
  const params = JSON.parse('{"name":"t","arguments":{"__proto__":{"a":1}}}');
  const read = readToolCall({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  expect(read.ok && Object.keys(read.arguments)).toEqual(['__proto__']);
});

// Fuzzers of the front door: requests as bytes, and messages that are nearly right.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { decisionLog } from '../support/decision-log.ts';
import { HOME, startHarness, until } from '../support/harness.ts';
import { requestText, wire } from '../support/wire.ts';
import type { Fuzzer } from './fuzzer.ts';

/** The legacy session, the password and the key of the client must stand nowhere. */
const LONGEST_MS = 15_000;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'stock_get', arguments: { sku: 'A-1' } } };

const header = fc.oneof(
  fc.constantFrom(
    'Content-Length: 0',
    'Content-Length: 5',
    'Content-Length: -1',
    'Content-Length: 0x5',
    'Content-Length : 5',
  ),
  fc.constantFrom(
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding:\tchunked',
    'Transfer_Encoding: chunked',
  ),
  fc.constantFrom(
    'Host: evil.example',
    'Host:',
    'Origin: https://evil.example',
    'Expect: 100-continue',
    'Expect: x',
    'Upgrade: h2c',
    'Connection: upgrade',
    'Connection: close',
  ),
  fc.constantFrom(
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-For: ::1%a%b',
    'Mcp-Session-Id: x',
    'Content-Encoding: gzip',
    'Authorization: Bearer x',
    ' folded',
    'NoColon',
    'X: \u0001',
  ),
  fc.string({ unit: fc.constantFrom('a', ':', ' ', '\t', '\r', '\n', '\0', '\u00ff', ','), maxLength: 20 }),
);
const requestLine = fc.constantFrom(
  'POST /mcp HTTP/1.1',
  'POST /mcp HTTP/1.0',
  'POST /mcp',
  'GET /mcp HTTP/1.1',
  'POST http://x/mcp HTTP/1.1',
  'PRI * HTTP/2.0',
  'post /mcp HTTP/1.1',
  'POST /mcp HTTP/1.2',
  'POST /%6dcp HTTP/1.1',
  'POST /mcp?x HTTP/1.1',
  '\r\nPOST /mcp HTTP/1.1',
  'CONNECT x:1 HTTP/1.1',
);

const mutated = (value: unknown): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 30, arbitrary: fc.constant(value) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
    { weight: 1, arbitrary: fc.constantFrom(null, [], {}, '', 0, -1, '__proto__', '\ud800', 'x'.repeat(3000)) },
    ...(typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [
          {
            weight: 20,
            arbitrary: fc
              .tuple(
                ...Object.entries(value).map(([key, item]) =>
                  fc.tuple(
                    fc.oneof(
                      { weight: 60, arbitrary: fc.constant(key) },
                      fc.constantFrom('x', '__proto__', 'constructor'),
                    ),
                    mutated(item),
                  ),
                ),
              )
              .map((entries) => Object.fromEntries(entries as [string, unknown][])),
          },
        ]
      : []),
  );

/** A connector that is asked whether it still lives, and that nothing secret has come out of it. */
export async function doorFuzzers(): Promise<Fuzzer[]> {
  process.env.SALLYPORT_FUZZ_TOKEN = 'admin-token-of-the-fuzzers-0123456789abcdef';
  const h = await startHarness({
    edit: (yaml) =>
      yaml.replace(
        'state_dir:',
        'limits: { request_seconds: 2, failures_per_minute: 1000000 }\nadmin: { port: 0, token: { env: SALLYPORT_FUZZ_TOKEN } }\nstate_dir:',
      ),
  });
  const port = Number(new URL(h.url).port);
  let decided = 0;
  const canaries = async () => {
    const headers = { authorization: `Bearer ${process.env.SALLYPORT_FUZZ_TOKEN}` };
    const metrics = await (await fetch(new URL('/metrics', h.connector.adminUrl), { headers })).text();
    await h.connector.settled();
    const log = JSON.stringify(decisionLog(h.stateDir));
    const secrets = [
      h.key,
      ...h.legacy.stats().callsBySession.keys(),
      readFileSync(join(h.stateDir, 'demo-backend.password'), 'utf8').trim(),
    ];
    for (const secret of secrets)
      for (const [place, text] of [
        ['the metrics', metrics],
        ['the log', log],
        ['the operational log', h.ops.join('\n')],
      ] as const)
        if (text.includes(secret)) throw new Error(`a secret stands in ${place}`);
    for (const line of log.split('\n').filter(Boolean)) JSON.parse(line);
  };
  const check = async () => {
    const alive = await fetch(new URL('/healthz', h.url), { signal: AbortSignal.timeout(5000) });
    if (alive.status !== 200) throw new Error(`healthz says ${alive.status}`);
    await canaries();
  };

  const requests: Fuzzer = {
    name: 'requests as bytes',
    property: (count) =>
      fc.asyncProperty(
        requestLine,
        fc.array(header, { maxLength: 4 }),
        fc.boolean(),
        fc.constantFrom('\r\n', '\n', '\r\n', '\r\n'),
        async (line, more, known, end) => {
          const body = JSON.stringify(CALL);
          const own = known ? [`Authorization: Bearer ${h.key}`, `X-Forwarded-For: ${HOME}`] : [];
          const text = requestText(body, [...own, ...more])
            .replace('POST /mcp HTTP/1.1', line)
            .replaceAll('\r\n', end);
          // A second request in the same breath: if its answer comes although the first had a body of another length
          // for somebody else, two parsers would have seen different requests.
          const answer = await wire(port, `${text}GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n`, LONGEST_MS);
          if (answer.closedMs >= LONGEST_MS - 100) throw new Error('the connection hangs');
          if (answer.status >= 500 && answer.status !== 501 && answer.status !== 505)
            throw new Error(`status ${answer.status}`);
          const answers = answer.text.match(/^HTTP\/1\.1 \d{3}/gm) ?? [];
          // Connection: close stands in each request, so that nothing after it is served.
          if (answers.filter((status) => !status.endsWith('100')).length > 1)
            throw new Error(`${answers.length} answers`);
          count(String(answer.status));
        },
      ),
    check,
  };

  const messages: Fuzzer = {
    name: 'messages',
    property: (count) =>
      fc.asyncProperty(
        mutated(CALL),
        fc.option(fc.nat(200), { nil: null, freq: 5 }),
        async (message: unknown, cut: number | null) => {
          const text = JSON.stringify(message) ?? '';
          const body = cut === null ? text : `${text.slice(0, cut)}${text.slice(cut + 1)}`;
          const answer = await h.post(body);
          if (answer.status >= 500) throw new Error(`status ${answer.status}: ${answer.text.slice(0, 200)}`);
          if (answer.text !== '' && answer.body === undefined) throw new Error('an answer that is not JSON');
          count(
            answer.status === 200
              ? answer.body?.error
                ? 'error'
                : answer.body?.result?.isError
                  ? 'refused'
                  : 'served'
              : String(answer.status),
          );
        },
      ),
    async check() {
      await check();
      // Every call has one decision in force, and an end.
      const inForce = async () => {
        const decisions = await h.audit('decision');
        return decisions.length - decisions.filter(({ supersedes }) => supersedes).length;
      };
      // A round that its time has cut off may have left a call under way.
      await until(async () => (await inForce()) === (await h.audit('outcome')).length, 'each decision to have an end');
      const now = await inForce();
      if (now < decided) throw new Error('decisions have gone');
      decided = now;
      h.clock.advance(61);
    },
    close: () => h.close(),
  };
  return [requests, messages];
}

// The load of the benchmark: calls of one tool by many connections, each with an id of its own.
import type { EventEmitter } from 'node:events';
import autocannon from 'autocannon';
import { quantile, type Row, row } from './row.ts';

let nextId = 1;

export type Length = { duration: number } | { amount: number };

/** Calls `stock_get` again and again. Rejects when an answer is wrong: a fast refusal would look like a fast call. */
export async function load(
  name: string,
  url: string,
  concurrency: number,
  headers: Record<string, string>,
  length: Length,
): Promise<Row> {
  const times: number[] = [];
  let wrong = 0;
  const instance = autocannon({
    url,
    connections: concurrency,
    ...length,
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    method: 'POST',
    requests: [
      {
        // Every call has its own JSON-RPC id, because the policy denies a repeated id as a replay.
        setupRequest: (request) => ({
          ...request,
          body: JSON.stringify({
            jsonrpc: '2.0',
            id: nextId++,
            method: 'tools/call',
            params: { name: 'stock_get', arguments: { sku: 'A-1' } },
          }),
        }),
        onResponse: (status, body) => {
          if (status !== 200 || !body.includes('A-1') || body.includes('isError')) wrong += 1;
        },
      },
    ],
  });
  // autocannon returns a promise that is also an event emitter, which its types do not say.
  (instance as unknown as EventEmitter).on('response', (_client, _status, _bytes, ms: number) => times.push(ms * 1000));
  const result = await instance;
  if (wrong > 0 || result.errors > 0) throw new Error(`${name}: ${wrong} wrong answers, ${result.errors} errors`);
  times.sort((a, b) => a - b);
  return row(name, {
    concurrency,
    p50_us: quantile(times, 0.5),
    p99_us: quantile(times, 0.99),
    per_second: Math.round(times.length / result.duration),
    calls: times.length,
  });
}

/** A conversation of its own for each run, since JSON-RPC ids must be new in it. */
export async function conversation(url: string, key = ''): Promise<Record<string, string>> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'application/json' };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
  });
  const answer = await fetch(url, { method: 'POST', headers, body });
  await answer.text();
  return { authorization: headers.authorization, 'mcp-session-id': answer.headers.get('mcp-session-id') ?? '' };
}

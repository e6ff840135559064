// One tool call over HTTP, as a client without a library makes it.
import type { Loose } from './harness.ts';

export async function callTool(url: string, key: string, name: string, args: object): Promise<Loose> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
  });
  return answer.json();
}

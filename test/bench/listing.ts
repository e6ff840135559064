// A list of 700 tools: how much CPU the connector needs for one, and how long the list is.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { conversation } from './load.ts';
import { cpuOf, governedServer, server } from './processes.ts';
import { median, quantile, rounded, row, type Show } from './row.ts';

const TOOLS = 700;
const LISTS = 200;

/** The tools of a large application: each as an import of its OpenAPI document would write it. */
function manyTools(): string {
  const tools = Array.from(
    { length: TOOLS },
    (_, i) => `  resource_${i}_list:
    backend: inventory
    description: Lists resource ${i}, page by page. Filters narrow the list; a date is written as in 2026-11-27.
    effect: read
    arguments:
      type: object
      properties:
        text: { type: string, maxLength: 100, description: Part of the name }
        from: { type: string, format: date, description: First day }
        to: { type: string, format: date, description: Last day }
        page: { type: integer, minimum: 1, maximum: 100000, description: Number of the page }
        sort: { type: string, enum: [name, created, changed, owner] }
    request: { method: GET, path: /api/resource/${i}, query: { q: "{text}" } }
`,
  );
  return tools.join('');
}

export async function listRows(rounds: number, show: Show): Promise<void> {
  const legacyUrl = (await server('legacy')).url;
  const governed = await governedServer({
    legacyUrl,
    prepare(dir) {
      const file = join(dir, 'connector.yaml');
      const text = readFileSync(file, 'utf8');
      // The tools are the last section of the demo configuration, before what the benchmark has added.
      writeFileSync(file, text.replace(/\n(?=keyring_file:)/, `\n${manyTools()}\n`));
      const data = join(dir, 'policies', 'data.yaml');
      writeFileSync(data, readFileSync(data, 'utf8').replace('tools: [stock_list,', 'tools: ["*", stock_list,'));
    },
  });
  const headers = {
    ...(await conversation(governed.url, governed.keys.bench)),
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  const list = async (id: number) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' });
    const answer = await fetch(governed.url, { method: 'POST', headers, body });
    return answer.text();
  };
  for (let id = 1; id <= LISTS; id++) await list(id);
  const runs: { cpu: number; p50: number; bytes: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const times: number[] = [];
    const before = cpuOf(governed.pid);
    let bytes = 0;
    for (let id = 1; id <= LISTS; id++) {
      const began = performance.now();
      const text = await list(1000 * (i + 1) + id);
      times.push((performance.now() - began) * 1000);
      bytes = text.length;
      if (!text.includes(`resource_${TOOLS - 1}_list`)) throw new Error('the list is not whole');
    }
    runs.push({
      cpu: (cpuOf(governed.pid) - before) / LISTS,
      p50: quantile(
        times.sort((a, b) => a - b),
        0.5,
      ),
      bytes,
    });
  }
  const { cpu, p50, bytes } = median(runs, (run) => run.cpu);
  show(
    row(`a list of ${TOOLS} tools, ${Math.round(bytes / 1000)} KB`, {
      p50_us: p50,
      cpu_us_per_call: rounded(cpu, 0),
      calls: LISTS,
    }),
  );
}

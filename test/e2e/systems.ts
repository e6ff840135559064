// Starts a real system with the script of its example and puts a recording proxy, the witness, between it and the
// connector. A test takes old cookies from the witness and tries them on the system itself.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { endWithParent } from '../support/children.ts';
import { until } from '../support/harness.ts';
import { freePort } from '../support/redis.ts';

export interface System {
  /** The URL of the witness, which the connector uses as the URL of its backend. */
  url: string;
  /** The URL of the system itself, without the witness. */
  direct: string;
  /** The Cookie headers that passed the witness, each once, in the order of their first use. */
  cookies: string[];
  /** The requests that passed the witness, such as "POST /path". */
  requests: string[];
  close(): Promise<void>;
}

/** `ready`: a path that answers 200 when the system is up. */
export async function startSystem(name: string, env: Record<string, string>, ready: string): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), `sallyport-${name}-`));
  const port = await freePort();
  const direct = `http://127.0.0.1:${port}`;
  const child = endWithParent(
    spawn(join(PACKAGE_ROOT, 'examples', name, 'start.sh'), [folder, String(port)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output = `${output}${chunk}`.slice(-4000);
    });
  let ended = false;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve())).then(() => {
    ended = true;
  });
  const up = () => {
    if (ended) throw new Error(`${name} ended:\n${output}`);
    return fetch(`${direct}${ready}`).then(
      (response) => response.status === 200,
      () => false,
    );
  };
  await until(up, `${name} to be up`, 50_000);
  const witness = await startWitness(port);
  return {
    ...witness,
    direct,
    async close() {
      await witness.close();
      child.kill('SIGTERM');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startWitness(port: number): Promise<Omit<System, 'direct'>> {
  const cookies: string[] = [];
  const requests: string[] = [];
  const server = createServer((incoming, answer) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    const { cookie } = incoming.headers;
    if (cookie !== undefined && !cookies.includes(cookie)) cookies.push(cookie);
    const passed = httpRequest(
      { port, host: '127.0.0.1', method: incoming.method, path: incoming.url, headers: incoming.headers },
      (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      },
    );
    passed.on('error', () => answer.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    cookies,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Policy files that rotate a session after this many uses of its backend token. */
export const rotateAfter = (uses: number) => ({
  'data.yaml': (text: string) =>
    text.replace('token_uses: { limit: 500, grade: rotate }', `token_uses: { limit: ${uses}, grade: rotate }`),
});

/** Waits in real time, because no test clock moves the session timeouts of a real system. */
export const seconds = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count * 1000));

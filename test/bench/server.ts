// One server of the benchmark, in a process of its own: `legacy`, `bare` or `passthrough`. Prints its
// address as one line of JSON.
import Koa from 'koa';
import { Pool } from 'undici';

process.once('SIGTERM', () => process.exit(0));

const [role, password = '', legacyUrl = ''] = process.argv.slice(2);
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

async function body(request: NodeJS.ReadableStream): Promise<{ params: { arguments: { sku: string } } }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function listen(app: Koa): void {
  const server = app.listen(0, '127.0.0.1', () =>
    say({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}/mcp` }),
  );
}

/** The pass-through that somebody would write without Sallyport: it logs in once and hands every answer on. */
async function passthrough(): Promise<void> {
  const pool = new Pool(legacyUrl, { connections: 32, pipelining: 1 });
  const cookie = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${legacyUrl}${path}`, { redirect: 'manual', ...init });
    return { text: await answer.text(), cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '' };
  };
  const form = await cookie('/login');
  const token = /name="form_token" value="(\w+)"/.exec(form.text)?.[1] ?? '';
  const session = await cookie('/login', {
    method: 'POST',
    headers: { cookie: form.cookie, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ username: 'clerk', password, form_token: token }).toString(),
  });
  const app = new Koa();
  app.use(async (ctx) => {
    const { params } = await body(ctx.req);
    const answer = await pool.request({
      method: 'GET',
      path: `/api/stock/${params.arguments.sku}`,
      headers: { cookie: session.cookie },
    });
    ctx.status = answer.statusCode;
    ctx.body = await answer.body.text();
    ctx.type = 'application/json';
  });
  listen(app);
}

switch (role) {
  case 'legacy': {
    // The compiled application is used, because a runner of TypeScript names every closure at run time, which costs.
    const { startLegacyInventory } = (await import(
      new URL('../../dist/demo/legacy-inventory/app.js', import.meta.url).href
    )) as typeof import('../../src/demo/legacy-inventory/app.ts');
    say({ url: (await startLegacyInventory({ users: { clerk: { password, role: 'clerk' } } })).url });
    break;
  }
  case 'bare': {
    const app = new Koa();
    app.use(async (ctx) => {
      ctx.body = { sku: (await body(ctx.req)).params.arguments.sku };
    });
    listen(app);
    break;
  }
  case 'passthrough':
    await passthrough();
    break;
  default:
    throw new Error('role: legacy, bare or passthrough');
}

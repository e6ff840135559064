// What the admin listener answers: by path, the method, the right that is needed, and the work.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Koa from 'koa';
import { z } from 'zod';
import type { Act } from '../audit/events.ts';
import { askForBody } from '../http/listener/front.ts';
import type { Selector } from '../session/control.ts';
import type { AdminOptions } from './contract.ts';
import type { Operator, Right } from './tokens.ts';

const name = z.string().min(1).max(200);
const why = { reason: z.string().trim().min(1).max(500) };

/** A revocation names exactly one selector, and why. */
const revocationSchema = z.union([
  z.strictObject({ all: z.literal(true), ...why }),
  z.strictObject({ session: name, ...why }),
  z.strictObject({ client: name, issuer: name.optional(), ...why }),
  z.strictObject({ subject: name, issuer: name.optional(), ...why }),
  z.strictObject({ backend: name, ...why }),
]);
const reloadSchema = z.strictObject(why);

const querySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: name.optional(),
  backend: name.optional(),
  client: name.optional(),
  subject: name.optional(),
});

/** Most bytes of a request body. */
const BODY_BYTES = 4096;

/** One path of the listener. */
export interface Route {
  method: 'GET' | 'POST';
  right: Right;
  handle(ctx: Koa.Context, operator: Operator): Promise<void>;
}

/** The paths that need a token. */
export function createRoutes({
  metrics,
  revoke,
  reload,
  status,
  sessions,
  backends,
}: AdminOptions): Record<string, Route> {
  return {
    '/metrics': {
      method: 'GET',
      right: 'metrics',
      async handle(ctx) {
        ctx.body = await metrics.text();
        ctx.type = metrics.contentType;
      },
    },
    '/readyz': {
      method: 'GET',
      right: 'read',
      async handle(ctx) {
        const { failing, warnings, differences } = await status();
        ready(ctx, failing, { warnings, differences });
      },
    },
    '/api/v1/status': { method: 'GET', right: 'read', handle: async (ctx) => answer(ctx, 200, await status()) },
    '/api/v1/sessions': {
      method: 'GET',
      right: 'read',
      async handle(ctx) {
        const query = querySchema.safeParse(Object.fromEntries(new URLSearchParams(ctx.querystring)));
        if (!query.success)
          return badRequest(ctx, 'limit (1 to 1000), after, backend, client and subject may be asked for');
        answer(ctx, 200, await sessions(query.data));
      },
    },
    '/revocations': {
      method: 'POST',
      right: 'act',
      async handle(ctx, operator) {
        const body = revocationSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success)
          return badRequest(
            ctx,
            'send exactly one of {"session"}, {"client"}, {"subject"}, {"backend"} and {"all": true}, and a "reason"; "issuer" only with "client" or "subject"',
          );
        const { reason, ...selector } = body.data;
        const revoked = await revoke(selector as Selector, actOf(ctx, operator, reason));
        // It holds all the same: another replica may have the backend, or this one had it before.
        const unknown = 'backend' in selector && !backends.includes(selector.backend);
        answer(ctx, 200, {
          revoked,
          ...(unknown && { hint: `no backend has that name here; there are ${backends.join(', ')}` }),
        });
      },
    },
    '/api/v1/reload': {
      method: 'POST',
      right: 'act',
      async handle(ctx, operator) {
        const body = reloadSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success) return badRequest(ctx, 'send a "reason"');
        const result = await reload(actOf(ctx, operator, body.data.reason));
        answer(ctx, result.ok ? 200 : 409, result);
      },
    },
  };
}

/** Says whether it is ready, and what more is to be told. */
export function ready(ctx: Koa.Context, failing: readonly string[], details: object = {}): void {
  const ok = failing.length === 0;
  answer(ctx, ok ? 200 : 503, ok ? { status: 'ok', ...details } : { status: 'unavailable', failing, ...details });
}

const actOf = (ctx: Koa.Context, { name: operator }: Operator, reason: string): Act => ({
  operator,
  reason,
  ip: ctx.req.socket.remoteAddress ?? '',
});

const badRequest = (ctx: Koa.Context, hint: string): void => answer(ctx, 400, { error: 'bad_request', hint });

/** Answers with JSON. */
export function answer(ctx: Koa.Context, status: number, body: object): void {
  ctx.status = status;
  ctx.body = body;
}

async function readJson(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  askForBody(request, response);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      size += chunk.length;
      if (size > BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

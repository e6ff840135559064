// The admin listener. It has a port of its own, on loopback unless configured otherwise, and a credential of its
// own. Revocations and rejected credentials are recorded in the audit log.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import Koa from 'koa';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { askForBody } from '../http/listener/front.ts';
import type { Selector } from '../session/control.ts';
import type { Metrics } from './metrics.ts';

/** What the admin listener needs. `token` is the admin token that every request must show. */
export interface AdminOptions {
  token: Secret;
  metrics: Pick<Metrics, 'text' | 'contentType'>;
  /**
   * Ends every session that the selector names, on all replicas, and answers how many there were. Rejects when
   * the store does not answer.
   */
  revoke: (selector: Selector, cause: string, ip: string) => Promise<number>;
  /** Called when a request has no valid admin token. */
  onRefused: (ip: string) => void;
}

const name = z.string().min(1).max(200);

/** A revocation names exactly one selector. */
const revocationSchema = z.union([
  z.strictObject({ all: z.literal(true) }),
  z.strictObject({ session: name }),
  z.strictObject({ client: name, issuer: name.optional() }),
  z.strictObject({ subject: name, issuer: name.optional() }),
  z.strictObject({ backend: name }),
]);

/** Most bytes of a request body. */
const BODY_BYTES = 4096;

const SHORTEST_TOKEN = 32;

/** Throws an OperatorError for an admin token that is so short that it could be guessed. */
export function refuseShortToken(token: Secret): void {
  if (token.reveal().length < SHORTEST_TOKEN)
    throw new OperatorError(`admin.token: give at least ${SHORTEST_TOKEN} characters`);
}

/**
 * Creates the application: GET /metrics and POST /revocations. Throws an OperatorError when the admin token is
 * too short.
 */
export function createAdminApp({ token, metrics, revoke, onRefused }: AdminOptions): Koa {
  refuseShortToken(token);
  const expected = digest(token.reveal());
  const app = new Koa();
  app.silent = true;

  app.use(async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    const ip = ctx.req.socket.remoteAddress ?? '';
    // A web page in the browser of the operator must not reach this port by DNS rebinding. Browsers send
    // Origin; the tools that use this port do not.
    if (ctx.req.headers.origin !== undefined) return answer(ctx, 403, { error: 'forbidden_origin' });
    const given = /^Bearer +(\S+)$/i.exec(ctx.req.headers.authorization ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      onRefused(ip);
      ctx.set('WWW-Authenticate', 'Bearer');
      return answer(ctx, 401, { error: 'unauthorized' });
    }
    if (ctx.path === '/metrics') {
      if (ctx.method !== 'GET') return wrongMethod(ctx, 'GET');
      ctx.body = await metrics.text();
      ctx.type = metrics.contentType;
      return;
    }
    if (ctx.path !== '/revocations') return answer(ctx, 404, { error: 'not_found' });
    if (ctx.method !== 'POST') return wrongMethod(ctx, 'POST');
    const selector = revocationSchema.safeParse(await readJson(ctx.req, ctx.res));
    if (!selector.success) {
      const hint =
        'send exactly one of {"session"}, {"client"}, {"subject"}, {"backend"} and {"all": true}; "issuer" only with "client" or "subject"';
      return answer(ctx, 400, { error: 'bad_request', hint });
    }
    try {
      answer(ctx, 200, { revoked: await revoke(selector.data as Selector, 'admin', ip) });
    } catch {
      answer(ctx, 503, { error: 'unavailable', hint: 'the store does not answer; nothing can be promised' });
    }
  });
  return app;
}

function wrongMethod(ctx: Koa.Context, allowed: string): void {
  ctx.set('Allow', allowed);
  answer(ctx, 405, { error: 'method_not_allowed' });
}

function answer(ctx: Koa.Context, status: number, body: object): void {
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

/**
 * Hashes all have the same length, so comparing them in constant time tells nothing about the admin token, not
 * even its length.
 */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

// How the admin listener reads requests and answers them.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Koa from 'koa';
import { z } from 'zod';
import type { Act } from '../audit/events/act.ts';
import { printable } from '../core/printable.ts';
import { isWellFormed } from '../formats/json.ts';
import { askForBody } from '../http/listener/front.ts';
import type { Operator, Right } from './tokens.ts';

/** One thing that can be asked for, and the right that it needs. */
export interface Route {
  right: Right;
  /** `ip`: who asks. */
  handle(ctx: Koa.Context, operator: Operator, ip: string): Promise<void>;
}

/** The routes by method and path, such as "GET /metrics". */
export type Routes = Readonly<Record<string, Route>>;

/** Why somebody acts; each act needs it. */
export const why = {
  reason: z
    .string()
    .max(500)
    // It is shown on terminals and to clients, and stands in what policies read.
    .refine(isWellFormed)
    .transform((text) => printable(text).trim())
    .refine((text) => text !== ''),
};
/** RFC 3339 has years of four digits. */
const LATEST = Date.parse('9999-12-31T23:59:59Z');
/** When something ends, as RFC 3339. */
export const untilSchema = z.iso.datetime({ offset: true }).refine((text) => Date.parse(text) <= LATEST);

/** Most bytes of a request body. */
const BODY_BYTES = 4096;

/** Says whether it is ready, and what more is to be told. */
export function ready(ctx: Koa.Context, failing: readonly string[], details: object = {}): void {
  const ok = failing.length === 0;
  answer(ctx, ok ? 200 : 503, ok ? { status: 'ok', ...details } : { status: 'unavailable', failing, ...details });
}

export const actOf = (ip: string, { name: operator }: Operator, reason: string): Act => ({ operator, reason, ip });

export const badRequest = (ctx: Koa.Context, hint: string): void => answer(ctx, 400, { error: 'bad_request', hint });

/** Answers with JSON. */
export function answer(ctx: Koa.Context, status: number, body: object): void {
  ctx.status = status;
  ctx.body = body;
}

export async function readJson(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  askForBody(request, response);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // Whoever sends too much still gets an answer, so the connection is not cut here.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

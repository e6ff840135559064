// What the admin listener answers about the policy: what is in force, another one, and the one before.
import { z } from 'zod';
import type { Activation } from '../activation/activation.ts';
import { actOf, answer, badRequest, type Routes, readJson, why } from './respond.ts';

const activateSchema = z.strictObject({ ...why, dir: z.string().startsWith('/').max(1000).optional() });
const rollbackSchema = z.strictObject({ ...why, revision: z.string().min(1).max(64).optional() });

export function policyRoutes(activation: Activation): Routes {
  return {
    'GET /api/v1/policy': {
      right: 'read',
      handle: async (ctx) => answer(ctx, 200, { version: 1, ...activation.status() }),
    },
    'POST /api/v1/policy/activate': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = activateSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success)
          return badRequest(
            ctx,
            'send a "reason", and perhaps "dir": the absolute path of a policy folder of the connector',
          );
        const result = await activation.activate(body.data.dir, actOf(ip, operator, body.data.reason));
        answer(ctx, result.ok ? 200 : 409, result);
      },
    },
    'POST /api/v1/policy/rollback': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = rollbackSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success) return badRequest(ctx, 'send a "reason", and perhaps the "revision" to go back to');
        const result = await activation.rollback(body.data.revision, actOf(ip, operator, body.data.reason));
        answer(ctx, result.ok ? 200 : 409, result);
      },
    },
  };
}

// What the admin listener answers: by path, the method, the right that is needed, and the work.
import { z } from 'zod';
import { type FreezeSelector, TooManyFreezes } from '../freeze/freeze.ts';
import type { Selector } from '../session/control.ts';
import { alertRoutes } from './alert-routes.ts';
import { type Frozen, nameSchema as name } from './api-schema.ts';
import type { AdminOptions } from './contract.ts';
import { freezeRoutes } from './freeze-routes.ts';
import { policyRoutes } from './policy-routes.ts';
import { actOf, answer, badRequest, type Routes, readJson, ready, untilSchema, why } from './respond.ts';

/** With `deny_until` it is a freeze as well, so that nobody logs in again before. */
const denying = { ...why, deny_until: untilSchema.optional() };

/** A revocation names exactly one selector, and why. */
const revocationSchema = z.union([
  z.strictObject({ all: z.literal(true), ...denying }),
  z.strictObject({ session: name, ...why }),
  z.strictObject({ client: name, issuer: name.optional(), ...denying }),
  z.strictObject({ subject: name, issuer: name.optional(), ...denying }),
  z.strictObject({ backend: name, ...denying }),
]);
const reloadSchema = z.strictObject(why);

const querySchema = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$|^1000$/)
    .transform(Number)
    .default(100),
  after: name.optional(),
  backend: name.optional(),
  client: name.optional(),
  subject: name.optional(),
});

/** What needs a token. */
export function createRoutes(options: AdminOptions): Routes {
  const { metrics, revoke, reload, status, sessions, backends, freezes, activation, alerts } = options;
  return {
    ...freezeRoutes(freezes),
    ...policyRoutes(activation),
    ...alertRoutes(alerts),
    'GET /metrics': {
      right: 'metrics',
      async handle(ctx) {
        ctx.body = await metrics.text();
        ctx.type = metrics.contentType;
      },
    },
    'GET /readyz': {
      right: 'read',
      async handle(ctx) {
        const { failing, warnings, differences } = await status();
        ready(ctx, failing, { warnings, differences });
      },
    },
    'GET /api/v1/status': { right: 'read', handle: async (ctx) => answer(ctx, 200, await status()) },
    'GET /api/v1/sessions': {
      right: 'read',
      async handle(ctx) {
        const given = new URLSearchParams(ctx.querystring);
        const query = querySchema.safeParse(Object.fromEntries(given));
        if (!query.success || given.size > Object.keys(Object.fromEntries(given)).length)
          return badRequest(ctx, 'limit (1 to 1000), after, backend, client and subject may be asked for');
        answer(ctx, 200, await sessions(query.data));
      },
    },
    'POST /revocations': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = revocationSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success)
          return badRequest(
            ctx,
            'send exactly one of {"session"}, {"client"}, {"subject"}, {"backend"} and {"all": true}, and a "reason"; "issuer" only with "client" or "subject"',
          );
        const { reason, deny_until: denied, ...selector } = { deny_until: undefined, ...body.data };
        const act = actOf(ip, operator, reason);
        // First, so that nobody logs in again between the two. What cannot be frozen is revoked all the same.
        let frozen: Frozen | undefined;
        let unfrozen: unknown;
        try {
          if (denied !== undefined) frozen = await freezes.freeze(selector as FreezeSelector, Date.parse(denied), act);
          if (denied !== undefined && !frozen) return badRequest(ctx, 'deny_until is over already');
        } catch (thrown) {
          unfrozen = thrown;
        }
        const revoked = await revoke(selector as Selector, act);
        if (unfrozen instanceof TooManyFreezes) {
          const hint = `the revocation holds (${revoked} sessions ended), and nothing was frozen: ${unfrozen.message}`;
          return answer(ctx, 409, { error: 'too_many_freezes', revoked, hint });
        }
        if (unfrozen !== undefined) throw unfrozen;
        // It holds all the same: another replica may have the backend, or this one had it before.
        const unknown = 'backend' in selector && !backends.includes(selector.backend);
        const hint = `no backend has that name here; there are ${backends.join(', ')}`;
        answer(ctx, 200, { revoked, ...frozen, ...(unknown && { hint }) });
      },
    },
    'POST /api/v1/reload': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = reloadSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success) return badRequest(ctx, 'send a "reason"');
        const result = await reload(actOf(ip, operator, body.data.reason));
        answer(ctx, result.ok ? 200 : 409, result);
      },
    },
  };
}

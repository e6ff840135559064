// What the admin listener answers about freezes.
import { z } from 'zod';
import { type FreezeSelector, freezeText } from '../freeze/freeze.ts';
import { freezeSelectorSchema } from './api-schema.ts';
import type { FreezeActs } from './freezes.ts';
import { actOf, answer, badRequest, type Routes, readJson, untilSchema, why } from './respond.ts';

const HINT =
  'send exactly one of {"all": true}, {"backend"}, {"tool"}, {"role"}, {"client"} and {"subject"}, a "reason", and for a freeze perhaps "until" (RFC 3339); "issuer" only with "client" or "subject"';
const besides = z.looseObject({ ...why, until: untilSchema.optional() });

export function freezeRoutes(freezes: FreezeActs): Routes {
  return {
    'GET /api/v1/freezes': { right: 'read', handle: async (ctx) => answer(ctx, 200, await freezes.list()) },
    'POST /api/v1/freezes': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const asked = read(await readJson(ctx.req, ctx.res));
        if (!asked) return badRequest(ctx, HINT);
        const { selector, until, reason } = asked;
        const frozen = await freezes.freeze(
          selector,
          until === undefined ? null : Date.parse(until),
          actOf(ip, operator, reason),
        );
        if (frozen) answer(ctx, 200, frozen);
        else badRequest(ctx, '"until" is over already');
      },
    },
    'POST /api/v1/thaws': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const asked = read(await readJson(ctx.req, ctx.res));
        if (!asked || asked.until !== undefined) return badRequest(ctx, HINT);
        const { selector, reason } = asked;
        if (await freezes.thaw(selector, actOf(ip, operator, reason)))
          answer(ctx, 200, { thawed: freezeText(selector) });
        else
          answer(ctx, 409, { error: 'not_frozen', hint: 'nothing is frozen under exactly this name; see "freezes"' });
      },
    },
  };
}

function read(body: unknown): { selector: FreezeSelector; until: string | undefined; reason: string } | undefined {
  const rest = besides.safeParse(body);
  if (!rest.success) return undefined;
  const { reason, until, ...named } = rest.data;
  const selector = freezeSelectorSchema.safeParse(named);
  return selector.success ? { selector: selector.data, until, reason } : undefined;
}

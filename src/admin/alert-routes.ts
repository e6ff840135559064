// What the admin listener answers about alerts: what is open, how receivers fare, and what operators do about it. Each act is on
// record with who and why.
import { z } from 'zod';
import { type Incident, MOST_SILENCES, type Silence } from '../alerts/board/board.ts';
import type { Alerts } from '../alerts/open.ts';
import type { AuditEvents } from '../audit/events/events.ts';
import { ALERTS } from '../decision/alerts/codes.ts';
import { codePattern, matches } from '../decision/alerts/settings.ts';
import { type AlertList, nameSchema } from './api-schema.ts';
import { actOf, answer, badRequest, type Routes, readJson, untilSchema, why } from './respond.ts';

export interface AlertRoutesOptions {
  alerts: Pick<Alerts, 'acknowledge' | 'silence' | 'silences' | 'incidents' | 'states' | 'test'>;
  events: Pick<AuditEvents, 'alertAct'>;
  /** Reason codes of the policy in force. */
  codes: () => readonly string[];
  now: () => number;
}

const testSchema = z.strictObject({ receiver: nameSchema.optional(), ...why });
const acknowledgementSchema = z.strictObject({ incident: z.string().regex(/^[0-9a-f]{6,32}$/), ...why });
const silenceSchema = z.strictObject({ codes: codePattern, client: nameSchema.optional(), until: untilSchema, ...why });
const endSchema = silenceSchema.omit({ until: true });

/** Longer than this nobody silences anything on purpose, in milliseconds. */
const LONGEST_SILENCE_MS = 365 * 24 * 3_600_000;
/** Most incidents in one answer, the newest. */
const MOST_LISTED = 1000;

export function alertRoutes(options: AlertRoutesOptions): Routes {
  const { alerts, events } = options;
  return {
    ...silenceRoutes(options),
    'GET /api/v1/alerts': {
      right: 'read',
      async handle(ctx) {
        const [incidents, silences] = await Promise.all([alerts.incidents(), alerts.silences()]);
        answer(ctx, 200, listOf(incidents, silences, alerts.states()));
      },
    },
    'POST /api/v1/alerts/test': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = testSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success) return badRequest(ctx, 'send a "reason", and "receiver" for one of them');
        const { receiver, reason } = body.data;
        const names = alerts.states().map(({ name }) => name);
        if (names.length === 0)
          return answer(ctx, 409, {
            error: 'no_receivers',
            hint: 'there is no receiver under "alerts" in connector.yaml',
          });
        if (receiver !== undefined && !names.includes(receiver))
          return badRequest(ctx, `no receiver has that name; there are ${names.join(', ')}`);
        events.alertAct('tested', { receiver: receiver ?? null }, actOf(ip, operator, reason));
        const results = await alerts.test({ operator: operator.name, reason }, receiver);
        answer(ctx, 200, {
          results: [...results].map(([name, problem]) => ({
            receiver: name,
            ok: problem === undefined,
            problem: problem ?? null,
          })),
        });
      },
    },
    'POST /api/v1/alerts/acknowledgements': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = acknowledgementSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success) return badRequest(ctx, 'send "incident" (six or more of its digits) and a "reason"');
        const { incident, reason } = body.data;
        const found = (await alerts.incidents()).filter(({ alert }) => alert.incident.startsWith(incident));
        if (found.length > 1)
          return badRequest(ctx, `${found.length} open incidents begin with that: give more digits`);
        const name = found[0]?.alert.incident ?? incident;
        if (found[0]?.alert.code === 'alerts.silenced')
          return answer(ctx, 409, {
            error: 'not_yours',
            hint: 'that alerts are silenced is told to everybody; end the silence instead',
          });
        const taken = await alerts.acknowledge(name, { operator: operator.name, reason });
        if (!taken)
          return answer(ctx, 409, { error: 'not_open', hint: 'no open incident has that name; see "alerts list"' });
        events.alertAct('acknowledged', { incident: name, code: taken.alert.code }, actOf(ip, operator, reason));
        answer(ctx, 200, incidentOf(taken));
      },
    },
  };
}

function silenceRoutes({ alerts, events, codes, now }: AlertRoutesOptions): Routes {
  const isKnown = (pattern: string) => [...codes(), ...Object.keys(ALERTS)].some((code) => matches(pattern, code));
  return {
    'POST /api/v1/alerts/silences': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = silenceSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success)
          return badRequest(
            ctx,
            'send "codes" (a code, "replay.*" or "*"), "until" (RFC 3339), a "reason", perhaps "client"',
          );
        const { codes: pattern, client = null, until, reason } = body.data;
        const [since, ends] = [now(), Date.parse(until)];
        if (ends <= since) return badRequest(ctx, '"until" is over already');
        if (ends - since > LONGEST_SILENCE_MS) return badRequest(ctx, '"until" is more than a year away');
        const row = { codes: pattern, client, operator: operator.name, reason, since, until: ends };
        if (!(await alerts.silence(row)))
          return answer(ctx, 409, {
            error: 'too_many_silences',
            hint: `there are ${MOST_SILENCES} already; end one of them`,
          });
        events.alertAct('silenced', { codes: pattern, client, until }, actOf(ip, operator, reason));
        answer(ctx, 200, {
          ...{ silenced: pattern, client, until: new Date(ends).toISOString() },
          ...(!isKnown(pattern) && { hint: 'no alert of this connector or its policy has such a code' }),
        });
      },
    },
    'POST /api/v1/alerts/silences/end': {
      right: 'act',
      async handle(ctx, operator, ip) {
        const body = endSchema.safeParse(await readJson(ctx.req, ctx.res));
        if (!body.success)
          return badRequest(ctx, 'send "codes" and a "reason", and "client" where the silence has one');
        const { codes: pattern, client = null, reason } = body.data;
        const row = (await alerts.silences()).find((each) => each.codes === pattern && each.client === client);
        if (!row)
          return answer(ctx, 409, {
            error: 'not_silenced',
            hint: 'nothing is silenced under exactly this name; see "alerts list"',
          });
        await alerts.silence({ ...row, until: 0 });
        events.alertAct('unsilenced', { codes: pattern, client }, actOf(ip, operator, reason));
        answer(ctx, 200, { ended: pattern, client });
      },
    },
  };
}

function listOf(
  incidents: readonly Incident[],
  silences: readonly Silence[],
  receivers: ReturnType<Alerts['states']>,
): AlertList {
  const newest = [...incidents].sort((a, b) => b.last - a.last).slice(0, MOST_LISTED);
  return {
    version: 1,
    total: incidents.length,
    incidents: newest.map(incidentOf),
    receivers: receivers.map(({ problem, ...state }) => ({ ...state, problem: problem ?? null })),
    silences: silences.map((row) => ({ ...row, since: isoOf(row.since), until: isoOf(row.until) })),
  };
}

function incidentOf({
  alert,
  since,
  last,
  due,
  count,
  delivered,
  acknowledged,
}: Incident): AlertList['incidents'][number] {
  const { incident, code, severity, title, mend, tool, backend, session, client, address, params, lasts } = alert;
  return {
    ...{ incident, code, severity, title, mend, count, since: isoOf(since), last: isoOf(last) },
    window_ends: lasts ? null : isoOf(due),
    ...{ tool, backend, session, client, address, params, delivered },
    acknowledged: acknowledged && { ...acknowledged, at: isoOf(acknowledged.at) },
  };
}

const isoOf = (time: number): string => new Date(time).toISOString();

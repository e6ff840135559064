// Sequences as they are written: who calls what, how much later, from where, and what is expected of it.
import { z } from 'zod';

/** What is remembered longest is so for 400 days; in milliseconds. */
const LONGEST_MS = 400 * 86_400_000;

const text = z.string().min(1);
const address = z.union([z.ipv4(), z.ipv6()]);
/** "90s", "5m", "2h", "1d". */
const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'is no duration such as "90s", "5m", "2h" or "1d"')
  .refine((text) => durationMs(text) <= LONGEST_MS, 'is longer than 400 days');
const claim = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);

const client = z.strictObject({
  roles: z.array(z.string()).default([]),
  scopes: z.array(z.string()).default([]),
  from: address.default('10.1.2.3').describe('Its address'),
  subject: text.optional().describe('The user; default: the name of the client'),
  key: text.optional().describe('A name for the key that it proves possession of with each call (DPoP)'),
  claims: z.record(z.string(), claim).optional(),
});

const tool = z.strictObject({ backend: text, effect: z.enum(['read', 'write', 'destructive']) });

const expected = z.strictObject({
  outcome: z
    .enum(['allow', 'rotate', 'deny', 'refused'])
    .describe('refused: the connector refuses what the policy let pass'),
  reasons: z.array(z.string()).min(1),
  observed: z.array(z.string()).optional(),
  obligations: z.array(z.string()).optional(),
  session: z
    .enum(['opened', 'kept', 'rotated', 'ended', 'none'])
    .optional()
    .describe('What became of the backend session'),
});

const wait = { after: duration.optional().describe('Time since the step before') };
const call = z.strictObject({
  ...wait,
  call: text.describe('A tool'),
  as: text.optional().describe('Which client; default: the first'),
  from: address.optional().describe('Another address than that of the client'),
  key: z
    .union([text, z.literal(false)])
    .optional()
    .describe('Another key, or none'),
  arguments: z.record(z.string(), z.unknown()).optional(),
  id: z.union([z.string(), z.int()]).optional().describe('The JSON-RPC id; default: a new one'),
  copy: z.literal(true).optional().describe('With the id of the call before of this client: a replay'),
  handle: z
    .union([text, z.literal(false)])
    .optional()
    .describe('Another conversation of the client, or none'),
  times: z.int().min(1).max(20_000).optional().describe('How often; each of them is as expected'),
  every: duration.optional().describe('Time between these'),
  expect: expected.optional(),
});
const selectors = ['backend', 'tool', 'role', 'client', 'all'] as const;
const freeze = z.strictObject({
  ...wait,
  freeze: z
    .strictObject({
      backend: text.optional(),
      tool: text.optional(),
      role: text.optional(),
      client: text.optional(),
      all: z.literal(true).optional(),
      reason: text.default('rehearsal'),
      thaw: z.literal(true).optional(),
    })
    .refine(
      (one) => selectors.filter((name) => one[name] !== undefined).length === 1,
      `names one of ${selectors.join(', ')}`,
    ),
});
const revoke = z.strictObject({ ...wait, revoke: text.describe('Ends the sessions of this client') });
const restart = z.strictObject({
  ...wait,
  restart: z
    .literal(true)
    .describe('The connector is restarted, with what it had in memory: sessions and history are gone'),
});
const pause = z.strictObject({ after: duration });

const sequence = z.strictObject({
  name: text,
  start: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('When it begins; default: 2026-11-23T09:00:00Z, a Monday'),
  clients: z.record(text, client).optional(),
  tools: z.record(text, tool).optional(),
  settings: z.record(z.string(), z.unknown()).optional().describe('Changes to the settings, as in a case'),
  steps: z
    .array(z.union([call, freeze, revoke, restart, pause]))
    .min(1)
    .max(1000),
});

/** A file of sequences. What stands at the top holds for each of them. */
export const sequencesSchema = z.strictObject({
  clients: z.record(text, client).optional(),
  tools: z.record(text, tool).optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
  sequences: z.array(sequence),
});

export type WrittenSequence = z.infer<typeof sequence>;
export type WrittenStep = WrittenSequence['steps'][number];
export type WrittenClient = z.infer<typeof client>;
export type WrittenCall = z.infer<typeof call>;
export type Expected = z.infer<typeof expected>;

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In milliseconds. */
export function durationMs(text: string | undefined): number {
  const [, number, unit] = /^([\d.]+)(\w+)$/.exec(text ?? '') ?? [];
  return number === undefined || unit === undefined ? 0 : Math.round(Number(number) * (UNITS[unit] ?? 0));
}

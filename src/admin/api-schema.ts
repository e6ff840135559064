// What the read-only API of the admin listener answers, version 1. docs/api.schema.json is generated from it. Nothing in it
// is a secret: sessions and tokens have fingerprints, and no argument of a call is kept anywhere.
import { z } from 'zod';
import { entrySchema } from '../activation/history.ts';
import { isWellFormed } from '../formats/json.ts';

const seconds = z.number().nonnegative();

/** One replica, as it tells the others. */
const replica = z.strictObject({
  id: z.string().describe('Changes with every start'),
  host: z.string(),
  version: z.string(),
  started_at: z.iso.datetime(),
  policy: z.string().describe('Revision of the policy and its settings'),
  configuration: z.string().describe('Revision of connector.yaml, less what may differ between replicas'),
  keyring: z.string().describe('Revision of the keyring: which keys there are'),
  clock_skew_ms: z.number(),
  order_problem: z.string().describe('Why it does not decide with the policy that was ordered; empty where it does'),
});

export const statusSchema = z.strictObject({
  version: z.literal(1),
  self: z.string().describe('The id of the replica that answers'),
  uptime_seconds: seconds,
  ready: z.boolean(),
  failing: z.array(z.string()).describe('Parts that keep it from taking calls'),
  warnings: z.array(z.strictObject({ what: z.string(), detail: z.string() })),
  policy: z.strictObject({
    revision: z.string(),
    wasm_sha256: z.string(),
    verdict: z.enum(['compared', 'signed', 'unverified']),
  }),
  store: z.strictObject({ kind: z.enum(['memory', 'redis']), revocations: z.int() }),
  replicas: z.array(replica),
  differences: z
    .array(z.strictObject({ what: z.string(), values: z.record(z.string(), z.array(z.string())) }))
    .describe('By what, and then by value, the ids of the replicas that have it'),
  backends: z.array(
    z.strictObject({
      name: z.string(),
      circuit: z.enum(['closed', 'half_open', 'open']),
      in_flight: z.int(),
      queued: z.int(),
      paused_seconds: seconds,
    }),
  ),
  issuer: z.string().nullable(),
  issuer_keys: z
    .strictObject({
      age_seconds: seconds.nullable().describe('Since they were fetched; null when they never were'),
      failure: z.string().nullable().describe('Why they could not be fetched last'),
    })
    .nullable()
    .describe('Of the key server of the issuer; null where there is none'),
  last_reload: z
    .strictObject({
      at: z.iso.datetime(),
      operator: z.string(),
      ok: z.boolean().describe('False: something was refused, and nothing was changed'),
      changed: z.array(z.string()),
      needs_restart: z.array(z.string()),
      restart_fails: z.array(z.string()).describe('Changed, and a restart would fail over it'),
      refused: z.array(z.string()),
    })
    .nullable()
    .describe('null since the start'),
  waits_for_restart: z
    .array(z.strictObject({ part: z.string(), fails: z.boolean(), detail: z.string() }))
    .describe('What was changed and takes effect with a restart, or makes it fail'),
  decision_log: z.strictObject({ file: z.string(), failure: z.string().nullable() }),
});

const place = z.strictObject({ ip: z.string(), network: z.string() }).nullable();

const session = z.strictObject({
  session: z.string().describe('Keyed fingerprint, as the decision log has it'),
  backend: z.string(),
  client: z.string(),
  subject: z.string(),
  issuer: z.string(),
  generation: z.int(),
  age_seconds: seconds,
  token_age_seconds: seconds,
  idle_seconds: seconds.describe('Since its last use; the login is the first'),
  token_uses: z.int(),
  places: z.strictObject({ ipv4: place, ipv6: place, networks: z.array(z.string()) }),
  key_bound: z.boolean(),
  rotates_in_seconds: z.number().nullable().describe('Until its age rotates it; null where it does not'),
  ends_in_seconds: z.number().nullable().describe('Until its end when nobody uses it; null where there is none'),
});

export const sessionsSchema = z.strictObject({
  version: z.literal(1),
  total: z.int().describe('How many there are, of those that were asked for'),
  sessions: z.array(session),
  next: z.string().nullable().describe('What to ask for as "after" to get the next page'),
});

/** A name that somebody asks for. */
export const nameSchema = z.string().min(1).max(200).refine(isWellFormed);
const name = nameSchema;

/** What a freeze or a thaw names: exactly one. */
export const freezeSelectorSchema = z.union([
  z.strictObject({ all: z.literal(true) }),
  z.strictObject({ backend: name }),
  z.strictObject({ tool: name }),
  z.strictObject({ role: name }),
  z.strictObject({ client: name, issuer: name.optional() }),
  z.strictObject({ subject: name, issuer: name.optional() }),
]);

export const freezesSchema = z.strictObject({
  version: z.literal(1),
  freezes: z.array(
    z.strictObject({
      selector: freezeSelectorSchema,
      operator: z.string(),
      reason: z.string(),
      since: z.iso.datetime(),
      until: z.iso.datetime().nullable().describe('null: until it is thawed'),
    }),
  ),
});

/** The answer to a freeze. */
export interface Frozen {
  frozen: string;
  until: string | null;
  /** Whether the policy that decides denies by it; `unknown` where no call could be made up that it lets pass. */
  policy: { revision: string; honours: 'yes' | 'no' | 'unknown' };
  /** Where nothing here has the name that was frozen. */
  hint?: string;
}

export const policySchema = z.strictObject({
  version: z.literal(1),
  revision: z.string().describe('Of the policy that decides, with its settings'),
  wasm_sha256: z.string(),
  folder: z.string().describe('Revision of the configured folder when it was looked at last'),
  kept: z.array(z.string()).describe('Revisions that a rollback may go back to, the newest first'),
  history: z.array(entrySchema),
});

const recordedClient = z.strictObject({ id: z.string(), subject: z.string(), issuer: z.string() });

export const alertsSchema = z.strictObject({
  version: z.literal(1),
  total: z.int().describe('Open incidents; the newest are listed'),
  incidents: z.array(
    z.strictObject({
      incident: z.string(),
      code: z.string(),
      severity: z.enum(['low', 'medium', 'high']),
      title: z.string(),
      mend: z.string().nullable(),
      count: z.int(),
      since: z.iso.datetime(),
      last: z.iso.datetime(),
      window_ends: z.iso
        .datetime()
        .nullable()
        .describe('It is over then if nothing more comes; null: when the state is'),
      tool: z.string().nullable(),
      backend: z.string().nullable(),
      session: z.string().nullable(),
      client: recordedClient.nullable(),
      address: z.string().nullable(),
      params: z.record(z.string(), z.unknown()),
      delivered: z.boolean().describe('Everybody who was to be told has been'),
      acknowledged: z.strictObject({ operator: z.string(), reason: z.string(), at: z.iso.datetime() }).nullable(),
    }),
  ),
  receivers: z
    .array(
      z.strictObject({
        name: z.string(),
        type: z.string(),
        waiting: z.int(),
        delivered: z.int(),
        failures: z.int().describe('Attempts that failed'),
        dropped: z.int(),
        gaps: z.int().describe('Sent on a connection that broke, and sent again'),
        problem: z.string().nullable(),
      }),
    )
    .describe('As this replica knows them, since its start'),
  silences: z.array(
    z.strictObject({
      codes: z.string(),
      client: z.string().nullable(),
      operator: z.string(),
      reason: z.string(),
      since: z.iso.datetime(),
      until: z.iso.datetime(),
    }),
  ),
});

/** The documents by their paths, for the published schema. */
export const apiSchema = z.strictObject({
  '/api/v1/status': statusSchema,
  '/api/v1/sessions': sessionsSchema,
  '/api/v1/freezes': freezesSchema,
  '/api/v1/policy': policySchema,
  '/api/v1/alerts': alertsSchema,
});

/** The answer to GET /api/v1/status. */
export type Status = z.infer<typeof statusSchema>;
/** The answer to GET /api/v1/sessions. */
export type SessionPage = z.infer<typeof sessionsSchema>;
/** The answer to GET /api/v1/freezes. */
export type FreezeList = z.infer<typeof freezesSchema>;
/** The answer to GET /api/v1/policy. */
export type PolicyState = z.infer<typeof policySchema>;
/** The answer to GET /api/v1/alerts. */
export type AlertList = z.infer<typeof alertsSchema>;
/** One session of it. */
export type ListedSession = z.infer<typeof session>;

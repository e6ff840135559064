// The form of the records, as docs/record.schema.json publishes it. Nothing that runs reads it: records are built from named
// fields, and the tests hold them against it.
import { z } from 'zod';
import { REQUEST_OUTCOMES } from '../decision/refusal-codes.ts';
import { inputSchema, reasonSchema } from '../decision/schema.ts';
import { FORM } from './records.ts';

const hex = (length: number) => z.string().regex(new RegExp(`^[0-9a-f]{${length}}$`));
const timestamp = z.string().describe('RFC 3339, UTC');
const pointers = z.array(z.string());

/** What every line has. */
const line = {
  level: z.enum(['info', 'warn']),
  message: z.string().describe('The same as "type"'),
  form: z.literal(FORM).describe('Form of the record. The first form had neither this number nor a chain'),
  timestamp,
  labels: z
    .strictObject({
      id: z.string().optional().describe('Host name'),
      version: z.string().optional().describe('Version of the program'),
      replica: hex(16).describe('The replica that wrote it; random, made with its state folder'),
      configuration: hex(16).optional().describe('Revision of its configuration'),
    })
    .describe('Who wrote it'),
  chain: z
    .strictObject({
      id: hex(16),
      seq: z.int().min(1).describe('Counts the lines of the chain'),
      prev: hex(64).describe('SHA-256 of the bytes of the line before it; zeros before the first'),
    })
    .describe('The place of the line'),
};

/** Which policy decided; of a record about no call, which was in force. */
const policy = {
  bundles: z.strictObject({ sallyport: z.strictObject({ revision: z.string() }) }),
  wasm_sha256: z.string(),
};

const client = z.strictObject({ id: z.string(), subject: z.string(), issuer: z.string() });
const tool = z.strictObject({ name: z.string(), backend: z.string().nullable() });

const decision = z.strictObject({
  ...line,
  ...policy,
  type: z.literal('decision'),
  decision_id: z.string(),
  req_id: z.string().describe('HTTP request id'),
  supersedes: z.string().optional().describe('The decision of the same call that this one replaces'),
  path: z.string().describe('Entrypoint of the policy'),
  decided_by: z.enum(['policy', 'connector']).describe('connector: the policy gave no decision that could be used'),
  requested_by: z.string().describe('Address of the client'),
  client,
  credential: z.strictObject({
    method: z.enum(['key', 'jwt', 'dpop', 'mtls']),
    key_id: z
      .string()
      .nullable()
      .describe('Beginning of the hash of an API key, "kid" of a token, or thumbprint of the proven key'),
  }),
  rpc_id: z.union([z.string(), z.number()]).describe('JSON-RPC id; a replay has the same as its original'),
  handle: z.string().nullable().describe('Keyed fingerprint of the handle; a replay has the same as its original'),
  tool,
  erased: pointers.describe('JSON pointers to what was left out: /input/…, /result/…; "/input": all of it'),
  masked: pointers.optional().describe('JSON pointers to what pseudonyms stand for'),
  replayable: z.boolean().describe('"input" is all that the policy was given'),
  metrics: z.strictObject({ timer_rego_query_eval_ns: z.int() }),
  detail: z.string().optional(),
  input: inputSchema.nullable(),
  result: z.strictObject({
    outcome: z.enum(['allow', 'rotate', 'deny']),
    reasons: z.array(reasonSchema).min(1),
    obligations: z.array(z.looseObject({ type: z.string() })),
    observed: z.array(reasonSchema).optional(),
  }),
});

const outcome = z.strictObject({
  ...line,
  ...policy,
  type: z.literal('outcome'),
  decision_id: z.string(),
  req_id: z.string(),
  outcome: z.enum(['success', 'denied', 'refused', 'cancelled', 'done_answer_unreadable', 'done_answer_withheld']),
  reasons: z.array(z.string()),
  duration_ms: z.number(),
  session: z
    .strictObject({
      id: z.string().describe('Keyed fingerprint'),
      generation: z.int(),
      token: z.string().describe('Keyed fingerprint of the backend token; of no use in its place'),
      opened: z.boolean().describe('The decision had seen no such login'),
    })
    .nullable(),
  backend: z
    .strictObject({ name: z.string(), status: z.int().nullable(), attempts: z.int() })
    .nullable()
    .describe('null: nothing was sent'),
  request: z
    .enum(REQUEST_OUTCOMES)
    .optional()
    .describe('What became of the request to the backend, in a call that has no result'),
  given: z
    .strictObject({
      bytes: z.int(),
      items: z.int().nullable().describe('Of the list that the result is, or of those right inside it'),
      masked: pointers.describe('Pointers at which masks have blanked something'),
    })
    .optional()
    .describe('What the client got'),
  masks_absent: pointers.optional(),
  items_cut: z.int().optional(),
  limits_absent: pointers.optional(),
  said: z.string().optional().describe("The backend's own reason for its refusal, less what is erased"),
  detail: z.string().optional(),
});

const alert = z.strictObject({
  ...line,
  ...policy,
  type: z.literal('alert'),
  decision_id: z.string().nullable(),
  req_id: z.string().nullable(),
  requested_by: z.string().nullable(),
  severity: z.enum(['low', 'medium', 'high']),
  reasons: z.array(z.string()),
  params: reasonSchema.shape.params.optional(),
  tool: z.string().optional(),
  backend: z.string().optional(),
  session: z.string().nullable().optional(),
  client: client.nullable(),
});

const event = z.looseObject({
  ...line,
  bundles: policy.bundles.optional(),
  wasm_sha256: policy.wasm_sha256.optional(),
  type: z.literal('event'),
  event: z.string(),
  operator: z
    .string()
    .nullable()
    .optional()
    .describe('Name of the admin token; "signal" or "watch"; null: nobody that the connector could know'),
  decision_id: z.string().nullable().optional().describe('The call that it happened for; null: for none'),
  proof: z
    .enum(['dead', 'residual', 'unproven', 'superseded'])
    .optional()
    .describe(
      'What is known of a backend session that ended here. dead: a probe was seen to tell it from a live one; residual: it still lives, or nothing could be tried; unproven: no probe could tell; superseded: older values of one login, too many to try',
    ),
  residual: z.boolean().optional().describe('true: the backend session may still work for whoever has its token'),
});

const checkpoint = z.strictObject({
  ...line,
  type: z.literal('checkpoint'),
  log: z.enum(['decisions', 'events']),
  cause: z.enum(['opened', 'rotated', 'closed', 'key', 'records', 'time', 'event']),
  key: hex(16).describe('The beginning of the SHA-256 of the public key (SPKI)'),
  signature: hex(128).describe('Ed25519 over the bytes of the line before the comma before this member'),
});

/** One line of a log. */
export const recordSchema = z.discriminatedUnion('type', [decision, outcome, alert, event, checkpoint]);

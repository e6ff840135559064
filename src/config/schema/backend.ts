// A legacy application server: where it is, whose account is used, how to log in, what a session is made
// of, how its end looks, and how to log out.
import { z } from 'zod';
import { conditionsSchema, expiredSchema, headerName, oneOrMore, pattern, pointer } from './condition.ts';
import { headerTemplates, requestSchema } from './request.ts';

const name = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower case letters, digits and "_"');

/** A credential by reference. Its value never stands in connector.yaml. */
export const secretRefSchema = z.union([
  z.strictObject({
    file: z.string().describe('Path of a file only its owner can read; one trailing newline is dropped'),
  }),
  z.strictObject({ env: z.string().describe('Name of an environment variable') }),
]);

const accountsSchema = z
  .strictObject({
    by: z
      .union([z.enum(['client', 'subject']), z.strictObject({ claim: z.string().min(1) })])
      .describe(
        'Whose account: that of the client id, of the user (subject), or of what a claim of the access token says (a name, or a JSON pointer that starts with "/")',
      ),
    file: z
      .string()
      .optional()
      .describe('JSON file, mode 0600: { "<key>": { "<credential>": "<value>" } }; read again when it changes'),
    map: z
      .record(z.string(), z.record(name, secretRefSchema))
      .optional()
      .describe('The same here, with each credential by reference'),
  })
  .refine((accounts) => (accounts.file === undefined) !== (accounts.map === undefined), {
    message: 'give either "file" or "map"',
  });

const extractSchema = z.union([
  z.strictObject({ cookie: z.string() }),
  z.strictObject({ header: headerName }),
  z.strictObject({ json: pointer }),
  z.strictObject({ form_field: z.string().describe('Value of the first <input> of this name') }),
  z.strictObject({ meta: z.string().describe('Content of <meta name="…">') }),
  z.strictObject({
    regex: pattern(1).describe('Regular expression (RE2) with one group, which is the value'),
    header: headerName.optional().describe('Look in this header; default: the body'),
  }),
  z.strictObject({
    hidden_fields: z
      .union([z.literal(true), z.string().min(1)])
      .describe(
        'All hidden fields of the page (true) or of the form with this id or name, for "hidden_fields" of a later request',
      ),
  }),
]);

const encodings = {
  base64: z.string(),
  base64url: z.string(),
  url: z.string().describe('Percent-encoding'),
  hex: z.string(),
  md5: z.string().describe('As hex'),
  sha1: z.string().describe('As hex'),
  sha256: z.string().describe('As hex'),
};

const composeSchema = z.record(
  name,
  z.union([
    z.string().describe('Values one after the other, such as "{user_id}:{key}"'),
    z
      .strictObject(
        Object.fromEntries(Object.entries(encodings).map(([key, s]) => [key, s.optional()])) as {
          [K in keyof typeof encodings]: z.ZodOptional<z.ZodString>;
        },
      )
      .refine((encoded) => Object.keys(encoded).length === 1, {
        message: `one of ${Object.keys(encodings).join(', ')}`,
      }),
  ]),
);

const stepSchema = z
  .strictObject({
    compose: composeSchema
      .optional()
      .describe('Values made of others, before the request; later ones may use earlier ones'),
    request: requestSchema.optional(),
    expect: oneOrMore(conditionsSchema.element)
      .optional()
      .describe('How a good answer looks; default: any 2xx. Anything else fails the login'),
    extract: z.record(name, extractSchema).optional(),
  })
  .refine((step) => step.request !== undefined || (step.compose !== undefined && !step.expect && !step.extract), {
    message: 'a step has a request, or does nothing but compose',
  });

const cookieSchema = z.union([
  z.string().min(1),
  z.strictObject({ matching: pattern().describe('For names that have a port or a random part in them') }),
]);

const seconds = z.int().min(1).max(86_400);

/** What the answers of these must show is their own: they are other pages than those of tools. */
const answers = {
  expect: oneOrMore(conditionsSchema.element)
    .optional()
    .describe('How a good answer looks: any of these; default: any 2xx'),
  assert: conditionsSchema.optional().describe('What a good answer shows; without it the session is taken for ended'),
};

export const backendSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Origin and optional base path; nothing else is ever contacted'),
  ca_file: z.string().optional().describe('CA certificates (PEM) when the backend has a private one'),
  credentials: z.record(name, secretRefSchema).default({}).describe('The same for every client'),
  accounts: accountsSchema.optional().describe('Credentials of each client or user; a call without any is refused'),
  timeout_ms: z.int().min(10).max(600_000).default(10_000),
  max_response_bytes: z.int().min(1024).max(104_857_600).default(1_048_576),
  max_concurrent: z.int().min(1).max(10_000).default(32),
  max_queued: z.int().min(0).max(100_000).default(256),
  breaker: z
    .strictObject({
      failures: z
        .int()
        .min(1)
        .default(5)
        .describe('Failures in a row (no answer, or 502, 503, 504) that open the circuit'),
      open_seconds: z.int().min(1).default(10),
    })
    .prefault({}),
  retry_after_seconds: z
    .int()
    .min(0)
    .max(3600)
    .default(60)
    .describe('Longest time for which a Retry-After of the backend (with 429 or 503) is believed; 0: never'),
  login: z.array(stepSchema).min(1),
  session: z.strictObject({
    cookies: z
      .array(cookieSchema)
      .default([])
      .describe('Cookies that make the session; all others are dropped after login'),
    values: z
      .array(name)
      .default([])
      .describe('Values of the login steps that are kept with the session; templates name them "{session.NAME}"'),
    public: z
      .array(name)
      .default([])
      .describe('Those of the values that are no secret and may stand in results, such as a user id'),
    headers: headerTemplates.default({}).describe('Headers that go with every call of the session'),
    send_cookies: z
      .record(z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not a cookie name'), z.string())
      .default({})
      .describe('Cookies made of values, that go with every call of the session'),
    one_at_a_time: z
      .boolean()
      .default(false)
      .describe('Calls of one session wait for each other: for backends whose every answer replaces the cookie'),
  }),
  csrf: z
    .strictObject({
      request: requestSchema,
      ...answers,
      extract: z.record(name, extractSchema).describe('Templates of tools and of logout name them "{csrf.NAME}"'),
      cookies: z
        .array(cookieSchema)
        .default([])
        .describe('Cookies that come with the tokens and must go back with them'),
      headers: headerTemplates.default({}).describe('Headers that go with every write'),
      lasts: z
        .enum(['session', 'call'])
        .default('session')
        .describe('session: fetched once and again when refused; call: fetched for every write'),
      refused: conditionsSchema
        .optional()
        .describe('How a refused token looks, when nothing was done: it is fetched anew and the write sent once more'),
    })
    .optional()
    .describe('Tokens without which the backend takes no write'),
  keep_alive: z
    .strictObject({
      request: requestSchema,
      ...answers,
      every_seconds: z.int().min(5).max(86_400),
      for_seconds: seconds.default(900).describe('How long after its last call a session is kept alive'),
    })
    .optional()
    .describe('A call that keeps a session from timing out between calls of its client'),
  expired: expiredSchema.describe('How the end of a session looks: any of these'),
  assert: conditionsSchema
    .optional()
    .describe('What every good answer must show (any of these); without it the session is taken for ended'),
  failed: conditionsSchema.optional().describe('How a failure looks in an answer that has a good status: any of these'),
  logout: z.strictObject({ request: requestSchema }).optional(),
  probe: z
    .strictObject({ request: requestSchema, ...answers })
    .optional()
    .describe('A harmless call that shows whether a session still lives'),
  drain_ms: z
    .int()
    .min(0)
    .max(60_000)
    .default(5000)
    .describe('How long calls in flight may finish before the old session is logged out'),
});

export type BackendConfig = z.infer<typeof backendSchema>;
export type LoginStep = z.infer<typeof stepSchema>;
export type Extraction = z.infer<typeof extractSchema>;
export type Composition = z.infer<typeof composeSchema>[string];
export type CookieName = z.infer<typeof cookieSchema>;
export type SecretRef = z.infer<typeof secretRefSchema>;
export type AccountsConfig = z.infer<typeof accountsSchema>;

// Schema of one entry under "backends": where the legacy application server is, which account is used, how to log
// in, what a session consists of, how its end looks, and how to log out.
import { isIP } from 'node:net';
import { z } from 'zod';
import { conditionsSchema, expiredSchema, oneOrMore, pattern, saySchema } from './condition.ts';
import { extractSchema } from './extraction.ts';
import { headerTemplates, requestSchema } from './request.ts';

const name = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower case letters, digits and "_"');

/** A reference to a credential in a file or the environment. Its value never stands in connector.yaml. */
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
        'What chooses the account: the client id, the user (subject), or a claim of the access token (its name, or a JSON pointer that starts with "/")',
      ),
    file: z
      .string()
      .optional()
      .describe('JSON file, mode 0600: { "<key>": { "<credential>": "<value>" } }; read again when it changes'),
    env: z.string().min(1).optional().describe('Environment variable that has what the file would have'),
    map: z
      .record(z.string(), z.record(name, secretRefSchema))
      .optional()
      .describe('The same accounts written here, each credential as a reference { file } or { env }'),
  })
  .refine(({ file, env, map }) => [file, env, map].filter((given) => given !== undefined).length === 1, {
    message: 'give one of "file", "env" and "map"',
  });

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
      .describe('Values made from other values before the request is sent; later ones may use earlier ones'),
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

/** CSRF, keep-alive and probe requests have their own "assert", because they lead to other pages than tools do. */
const answers = {
  expect: oneOrMore(conditionsSchema.element)
    .optional()
    .describe('How a good answer looks: any of these; default: any 2xx'),
  assert: conditionsSchema.optional().describe('What a good answer shows (any of these); else the session has ended'),
  expired: expiredSchema
    .optional()
    .describe('How the end of a session looks in this answer alone, in addition to "expired" of the backend'),
};

const proxyUrl = z
  .url({ protocol: /^https?$/ })
  .refine((text) => !URL.canParse(text) || new URL(text).username === '', {
    message: 'credentials do not belong into the URL; use { url, user, password }',
  })
  .refine((text) => !URL.canParse(text) || /^https?:\/\/[^/?#]+\/?$/.test(text), { message: 'a proxy has no path' });

const proxySchema = z.union([
  z.literal('environment'),
  proxyUrl,
  z.strictObject({ url: proxyUrl, user: z.string().min(1).optional(), password: secretRefSchema.optional() }),
]);

/** A SHA-256 in base64, with or without the "sha256//" that curl writes before it. */
const pin = z
  .string()
  .regex(/^(sha256\/\/?)?[A-Za-z0-9+/]{43}=$/, 'the SHA-256 of a public key in base64')
  .transform((text) => text.replace(/^sha256\/\/?(?=.{44}$)/, ''));

const tlsSchema = z
  .strictObject({
    server_name: z
      .string()
      .min(1)
      .refine((name) => isIP(name) === 0, 'a name, not an address: TLS has no place for one')
      .optional()
      .describe('Name that the certificate must have; default: the host of "url"'),
    cert_file: z.string().optional().describe('Certificate (PEM) to show to the backend'),
    key_file: z.string().optional().describe('Its key; only its owner may be able to read it'),
    pin: oneOrMore(pin)
      .optional()
      .describe(
        'SHA-256 of the public key of the backend (SubjectPublicKeyInfo) in base64, or several: the key alone is looked at, not who signed the certificate, its name or its end',
      ),
  })
  .refine(({ cert_file, key_file }) => (cert_file === undefined) === (key_file === undefined), {
    message: '"cert_file" and "key_file" go together',
  })
  .refine((tls) => Object.keys(tls).length > 0, { message: 'say something, or leave it out' });

/** One backend. What a schema cannot express, such as placeholders that nothing fills, is in check-backend.ts. */
export const backendSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Origin and optional base path; nothing else is ever contacted'),
  plaintext: z.boolean().optional().describe('http:// beyond this machine is meant; the start record names it'),
  ca_file: z.string().optional().describe('CA certificates (PEM) when the backend has a private one'),
  proxy: proxySchema
    .optional()
    .describe(
      'HTTP proxy on the way to this backend, or "environment" for that of HTTPS_PROXY, HTTP_PROXY and NO_PROXY',
    ),
  tls: tlsSchema.optional().describe('Where TLS needs more than "ca_file"'),
  credentials: z.record(name, secretRefSchema).default({}).describe('Credentials that all clients share'),
  accounts: accountsSchema.optional().describe('Credentials of each client or user; who has none is refused'),
  timeout_ms: z.int().min(10).max(600_000).default(10_000),
  max_response_bytes: z.int().min(1024).max(104_857_600).default(1_048_576),
  max_header_bytes: z.int().min(1024).max(1_048_576).default(16_384).describe('Longest headers of an answer'),
  max_concurrent: z.int().min(1).max(10_000).default(32),
  max_queued: z.int().min(0).max(100_000).default(256),
  limits: z
    .strictObject({
      calls: z.int().min(1).max(10_000).optional().describe('Calls at a time, over all replicas; default: any number'),
      logins_per_minute: z.int().min(1).max(10_000).optional().describe('Over all replicas; default: any number'),
      failed_logins: z
        .strictObject({
          most: z.int().min(1).max(1000).default(5),
          within_seconds: z.int().min(1).max(86_400).default(900),
        })
        .prefault({})
        .describe('After so many failed logins of one account no other is tried for a while, lest the system locks it'),
    })
    .prefault({})
    .describe('What the system is spared, over all replicas that share a store'),
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
    .describe('Longest wait that a Retry-After of the backend (with 429 or 503) can impose; 0: it is ignored'),
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
    renew: z
      .record(name, extractSchema)
      .default({})
      .describe('Where a good answer brings a new one of "values", for a token that is renewed while it is used'),
    public: z
      .array(name)
      .default([])
      .describe('Names among "values" that are not secret and may appear in results, such as a user id'),
    headers: headerTemplates.default({}).describe('Headers that go with every call of the session'),
    send_cookies: z
      .record(z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not a cookie name'), z.string())
      .default({})
      .describe('Cookies made of values, that go with every call of the session'),
    cookies_over_http: z
      .boolean()
      .default(false)
      .describe(
        'Cookies marked Secure go back over http://, for a backend behind a TLS proxy; the start record names it',
      ),
    one_at_a_time: z
      .boolean()
      .default(false)
      .describe('Calls of one session wait for each other: for backends whose every answer replaces the cookie'),
  }),
  csrf: z
    .strictObject({
      request: requestSchema,
      ...answers,
      extract: z.record(name, extractSchema).describe('Values that tools and logout may use as "{csrf.NAME}"'),
      cookies: z
        .array(cookieSchema)
        .default([])
        .describe('Cookies that come with the tokens and must go back with them'),
      headers: headerTemplates.default({}).describe('Headers that go with every write'),
      lasts: z
        .enum(['session', 'call'])
        .default('session')
        .describe('session: fetched once, and again after a refusal; call: fetched for every write'),
      refused: conditionsSchema
        .optional()
        .describe('How a refused CSRF token looks when nothing was done: a new one is fetched, the write sent again'),
    })
    .optional()
    .describe('CSRF tokens, without which the backend accepts no write'),
  keep_alive: z
    .strictObject({
      request: requestSchema,
      ...answers,
      every_seconds: z.int().min(5).max(86_400),
      for_seconds: seconds.default(900).describe('How long after its last call a session is kept alive'),
    })
    .optional()
    .describe('A request that keeps an idle session from timing out between the calls of its client'),
  expired: expiredSchema.describe('How an answer looks when the session has ended: any of these'),
  assert: conditionsSchema
    .optional()
    .describe('What every good answer must show (any of these); otherwise the session counts as ended'),
  failed: conditionsSchema.optional().describe('How a failure looks in an answer that has a good status: any of these'),
  say: saySchema
    .optional()
    .describe('Where an answer that is a failure gives its reason for the client: JSON pointers and CSS selectors'),
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

/** A backend as it is configured, with all defaults filled in. */
export type BackendConfig = z.infer<typeof backendSchema>;
/** One step of a login: composed values, then a request, then what is extracted from its answer. */
export type LoginStep = z.infer<typeof stepSchema>;
/** A template of other values, plain or with one encoding around it. */
export type Composition = z.infer<typeof composeSchema>[string];
/** The name of a cookie, or a pattern for names. */
export type CookieName = z.infer<typeof cookieSchema>;
/** A reference to a credential: a file or an environment variable. */
export type SecretRef = z.infer<typeof secretRefSchema>;
/** What chooses the account of a client, and where the accounts are. */
export type AccountsConfig = z.infer<typeof accountsSchema>;

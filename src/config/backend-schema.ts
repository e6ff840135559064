// A legacy application server: where it is, how to log in, what a session is made of, how its end
// looks, and how to log out.
import { z } from 'zod';
import { requestSchema } from './request-schema.ts';

const name = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower case letters, digits and "_"');
const status = z.int().min(100).max(599);

/** A credential by reference. Its value never stands in connector.yaml. */
export const secretRefSchema = z.union([
  z.strictObject({
    file: z.string().describe('Path of a file only its owner can read; one trailing newline is dropped'),
  }),
  z.strictObject({ env: z.string().describe('Name of an environment variable') }),
]);

const extractSchema = z.union([
  z.strictObject({ cookie: z.string() }),
  z.strictObject({ header: z.string() }),
  z.strictObject({ json: z.string().regex(/^(\/.*)?$/, 'a JSON pointer, such as /token') }),
  z.strictObject({ form_field: z.string().describe('Value of the first <input> of this name') }),
]);

const stepSchema = z.strictObject({
  request: requestSchema,
  expect: z
    .strictObject({
      status: z.array(status).min(1).optional(),
      redirect_to: z.string().startsWith('/').optional().describe('Path the Location header must begin with'),
    })
    .optional()
    .describe('Default: any 2xx. Anything else fails the login'),
  extract: z.record(name, extractSchema).optional(),
});

const expiredSchema = z.strictObject({
  status: z.array(status).optional(),
  redirect_to: z.array(z.string().startsWith('/')).optional().describe('Paths of the login page'),
  form_field: z.array(z.string()).optional().describe('An <input> that only the login page has'),
  body_contains: z.array(z.string().min(1)).optional(),
});

export const backendSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Origin and optional base path; nothing else is ever contacted'),
  ca_file: z.string().optional().describe('CA certificates (PEM) when the backend has a private one'),
  credentials: z.record(name, secretRefSchema).default({}),
  timeout_ms: z.int().min(10).max(600_000).default(10_000),
  max_response_bytes: z.int().min(1024).max(104_857_600).default(1_048_576),
  max_concurrent: z.int().min(1).max(10_000).default(32),
  max_queued: z.int().min(0).max(100_000).default(256),
  breaker: z
    .strictObject({
      failures: z.int().min(1).default(5).describe('Failures in a row that open the circuit'),
      open_seconds: z.int().min(1).default(10),
    })
    .prefault({}),
  login: z.array(stepSchema).min(1),
  session: z.strictObject({
    cookies: z
      .array(z.string())
      .default([])
      .describe('Cookies that make the session; all others are dropped after login'),
    values: z
      .array(name)
      .default([])
      .describe('Extracted values kept with the session; templates name them "{session.NAME}"'),
    headers: z.record(z.string(), z.string()).default({}).describe('Headers that go with every call of the session'),
  }),
  expired: expiredSchema.describe('How the end of a session looks: any of these'),
  logout: z.strictObject({ request: requestSchema }).optional(),
  probe: z
    .strictObject({ request: requestSchema })
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
export type SecretRef = z.infer<typeof secretRefSchema>;

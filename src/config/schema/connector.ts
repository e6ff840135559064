// The schema of connector.yaml. It refuses unknown keys everywhere. docs/connector.schema.json is generated from it
// for editors, and `npm run check` compares the two.
import { z } from 'zod';
import { TRUSTED_FOLDERS } from '../../core/files/secret-file.ts';
import { alertsSchema } from './alerts.ts';
import { auditSchema } from './audit.ts';
import { backendSchema, secretRefSchema } from './backend.ts';
import { storeSchema } from './store.ts';
import { toolSchema } from './tool.ts';

const seconds = z.int().positive();
const bits = (max: number) => z.int().min(1).max(max);
const url = z
  .url({ protocol: /^https?$/ })
  // It would stand in records and in what is published, and is no secret where it stands here.
  .refine((text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).password === ''), {
    message: 'a user name or a password does not belong into a URL',
  });

/**
 * Only asymmetric signatures (RFC 8725 §3.1). With "none" a JWT needs no signature, and with HMAC an attacker could
 * sign one with the public key, which everybody knows.
 */
const algorithm = z.enum([
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
]);

const keys = z.union([
  z.strictObject({
    file: z.string().describe('Client records with hashed API keys; written by "sallyport client add"'),
  }),
  z.strictObject({ env: z.string().min(1).describe('Environment variable that has what the file would have') }),
]);

const jwt = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1).describe('What "aud" must contain: usually the public URL of this connector'),
  jwks: z.union([
    z.strictObject({
      url,
      plaintext: z.boolean().optional().describe('http:// beyond this machine is meant; the start record names it'),
      ca_file: z.string().optional().describe('PEM file of a private CA; default: the public ones'),
    }),
    z.strictObject({ file: z.string() }),
  ]),
  algorithms: z.array(algorithm).min(1).default(['ES256', 'EdDSA', 'PS256', 'RS256']),
  types: z.array(z.string()).min(1).default(['at+jwt', 'JWT']).describe('Accepted "typ" header values'),
  clock_skew_seconds: z.int().min(0).max(300).default(30),
  claims: z
    .strictObject({
      client_id: z.string().default('client_id'),
      roles: z.string().default('roles'),
      scopes: z.string().default('scope'),
    })
    .prefault({})
    .describe('Claim names, or JSON pointers into the claims when they start with "/"'),
});

const tls = z.strictObject({
  cert_file: z.string(),
  key_file: z.string().describe('Only its owner may be able to read it'),
  client_ca_file: z
    .string()
    .optional()
    .describe('Accept only client certificates of this CA; default: any, since an access token names its own'),
});

const rights = z
  .array(z.enum(['metrics', 'read', 'act']))
  .min(1)
  .describe('metrics: scrape; read: see status and sessions; act: revoke, reload');

const admin = z
  .strictObject({
    host: z.string().default('127.0.0.1'),
    port: z.int().min(0).max(65535).default(8788),
    token: secretRefSchema
      .optional()
      .describe('One token with all rights and the name "admin"; at least 32 characters'),
    tokens: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, 'lower case letters, digits, "_" and "-"'),
        z.union([z.strictObject({ file: z.string(), rights }), z.strictObject({ env: z.string(), rights })]),
      )
      .optional()
      .describe('Tokens by the name of who has them, which stands on record with what is done'),
    plaintext: z.boolean().optional().describe('A listener beyond loopback without TLS is meant'),
    tls: tls.optional().describe('Listen with TLS; with client_ca_file only for clients with a certificate of that CA'),
    allowed_hosts: z
      .array(z.string())
      .default([])
      .describe('Host header values to accept besides loopback names and the address that was connected to'),
  })
  .refine(({ token, tokens }) => token !== undefined || Object.keys(tokens ?? {}).length > 0, {
    message: 'give "token" or "tokens"',
  });

const dpop = z.strictObject({
  algorithms: z.array(algorithm).min(1).default(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256']),
  proof_seconds: z.int().min(5).max(600).default(60).describe('How old a proof may be'),
  skew_seconds: z.int().min(0).max(300).default(10).describe("How far a client's clock may be ahead"),
  nonce_seconds: z.int().min(10).max(3600).default(240).describe('How long a server nonce is good for'),
});

const mtls = z.strictObject({
  header: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/, 'not a header name')
    .default('Client-Cert'),
  format: z
    .enum(['rfc9440', 'urlencoded_pem'])
    .default('rfc9440')
    .describe('rfc9440: ":base64 of the DER:"; urlencoded_pem: as NGINX $ssl_client_escaped_cert'),
  proxies: z.array(z.string()).min(1).describe('Networks (CIDR) of the proxies that may send the header'),
});

/** A whole connector.yaml. What a schema cannot express is in cross-check.ts. */
export const connectorSchema = z.strictObject({
  version: z.literal(1),
  include: z
    .array(z.string())
    .optional()
    .describe(
      'Further files with backends and tools, or folders of such files; paths in them start where this file is',
    ),
  listen: z
    .strictObject({
      host: z.string().default('127.0.0.1'),
      port: z.int().min(0).max(65535).default(8787),
      plaintext: z
        .boolean()
        .optional()
        .describe('A listener beyond loopback without TLS is meant, as behind a proxy that ends TLS'),
      tls: tls.optional().describe('Listen with TLS; client certificates are asked for, never demanded'),
    })
    .prefault({}),
  admin: admin.optional().describe('A separate listener for operators, with revocation and metrics'),
  store: storeSchema.describe('Where sessions and facts are kept; without "redis", in the memory of this process'),
  keyring_file: z
    .string()
    .optional()
    .describe('File with the keys of the connector; default: keyring.json in state_dir. Replicas need the same one'),
  keyring: z
    .strictObject({ env: z.string().min(1) })
    .optional()
    .describe('Instead of keyring_file: the environment variable that has what the file would have'),
  secrets: z
    .strictObject({
      trusted_dirs: z
        .array(z.string().min(1))
        .default([...TRUSTED_FOLDERS])
        .describe(
          'Folders in which secrets are mounted: files there may be readable by a group, if nobody can change them',
        ),
    })
    .prefault({}),
  public_url: url.optional().describe('URL of /mcp as clients see it; default: the listening address'),
  allowed_hosts: z
    .array(z.string())
    .default([])
    .describe('Host header values to accept besides loopback names and the host of public_url'),
  allowed_origins: z
    .array(z.string())
    .default([])
    .describe('Origin header values to accept; browsers send one, MCP clients do not'),
  proxy_hops: z
    .int()
    .min(0)
    .max(10)
    .default(0)
    .describe('How many trusted proxies stand before the connector and append to X-Forwarded-For'),
  trusted_proxies: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('Networks (CIDR) of those proxies: X-Forwarded-For counts only from them. Needed beyond loopback'),
  network_prefix: z.strictObject({ ipv4: bits(32).default(24), ipv6: bits(128).default(64) }).prefault({}),
  limits: z
    .strictObject({
      body_bytes: z.int().min(1024).max(16_777_216).default(262_144),
      nesting: z.int().min(4).max(200).default(32),
      request_seconds: seconds.default(60),
      connections: z.int().min(8).default(4096).describe('Most open connections; idle ones give way to new ones'),
      connections_per_source: z
        .int()
        .min(1)
        .default(1024)
        .describe('Most open connections from one address; only where no proxy stands before the connector'),
      shutdown_seconds: seconds
        .max(86_400)
        .default(25)
        .describe('Longest time from the signal to the end of the process; calls that take longer are cut short'),
      handle_seconds: seconds.default(86_400).describe('How long a handle lives'),
      failures_per_minute: z
        .int()
        .positive()
        .default(60)
        .describe('Refused credentials from one network, or unknown handles of one client, before they get 429'),
      clients: z.int().positive().default(100_000).describe('Most clients remembered at once; more are refused'),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['auto', 'json', 'text']).default('auto').describe('auto: text on a terminal, else JSON lines'),
      access: z.boolean().default(false).describe('A line for each request, without its query'),
    })
    .prefault({})
    .describe('The operational log on standard error; calls are in the decision log'),
  watch: z
    .boolean()
    .default(false)
    .describe('Read certificates, key files, admin tokens and this file again when they change, as SIGHUP does'),
  shutdown: z
    .strictObject({
      delay_seconds: z
        .number()
        .min(0)
        .max(300)
        .default(0)
        .describe('How long after SIGTERM it still takes calls, not ready, until balancers have noticed'),
    })
    .prefault({}),
  state_dir: z.string().default('.sallyport').describe('Keys and the decision log; created with mode 0700'),
  identity: z
    .strictObject({
      keys: keys.optional(),
      jwt: jwt.optional(),
      sender_constrained: z
        .enum(['optional', 'required'])
        .default('optional')
        .describe('required: accept only tokens bound to a key (DPoP, mTLS), so that a copied token is useless'),
      claims: z
        .strictObject({
          policy: z
            .array(z.string().min(1).max(200))
            .max(32)
            .default([])
            .describe(
              'Claims that policies may read (input.client.claims), by name or JSON pointer; they are on record',
            ),
        })
        .prefault({}),
      dpop: dpop.prefault({}),
      mtls: mtls.optional().describe('Client certificates that a trusted proxy has checked'),
    })
    .refine((i) => i.keys !== undefined || i.jwt !== undefined, {
      message: 'configure identity.keys, identity.jwt or both',
    }),
  policy: z
    .strictObject({
      dir: z.string().optional().describe('Policy folder; default: the one that comes with Sallyport'),
      site_dir: z
        .string()
        .optional()
        .describe("Folder of the site's rules (package site.<name>); default: site in the policy folder"),
      require: z
        .enum(['none', 'compared', 'signed'])
        .default('none')
        .describe(
          'compared: start only if an OPA of the very version is there and compiles the same policy; signed: see keys',
        ),
      keys: z
        .record(z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/), z.strictObject({ file: z.string().min(1) }))
        .default({})
        .describe('Public keys (PEM), by name. With one, only a policy that is signed with one of them is used'),
      budget_ms: z.int().positive().default(250),
      guard_ms: z
        .int()
        .positive()
        .default(50)
        .describe('Longest decision about a large input, or a tool that was slow before, in milliseconds: it is ended'),
      reload: z
        .array(z.enum(['signal', 'watch']))
        .default([])
        .describe('What takes a changed policy folder into use besides "policy activate": SIGHUP, or its files'),
      keep: z
        .strictObject({ days: z.int().positive().default(400), count: z.int().min(2).max(10_000).default(100) })
        .prefault({})
        .describe('How long, and how many, policies that have decided are kept in state_dir'),
      allow_unknown_names: z
        .boolean()
        .default(false)
        .describe('Start although data.yaml names tools or backends this connector does not have'),
    })
    .prefault({}),
  audit: auditSchema.prefault({}),
  alerts: alertsSchema.prefault({}).describe('Who is told of alerts; whom to wake for what is in data.yaml'),
  backends: z.record(
    z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, 'lower case letters, digits, "_" and "-"'),
    backendSchema,
  ),
  tools: z
    .record(z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/, 'letters, digits, "_", "." and "-", at most 128'), toolSchema)
    .default({}),
});

/** A connector.yaml with defaults filled in, but with paths as they were written. */
export type ConnectorFile = z.infer<typeof connectorSchema>;

// Schema of "store": where sessions and facts are kept, in Redis or in the memory of the process.
import { z } from 'zod';
import { secretRefSchema } from './backend.ts';

const redisUrl = z.url({ protocol: /^rediss?$/ }).refine((text) => !hasCredentials(text), {
  message: 'credentials do not belong into the URL; use "username" and "password"',
});

/** The scheme of a URL may be written in any case, and a parser of URLs knows. */
function hasCredentials(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username !== '' || password !== '';
}

const redis = z
  .strictObject({
    url: redisUrl.optional().describe('One server: redis://host:6379, or rediss:// for TLS'),
    sentinel: z
      .strictObject({
        name: z.string().min(1).describe('Name of the primary, as the sentinels know it'),
        nodes: z.array(z.strictObject({ host: z.string(), port: z.int().min(1).max(65535) })).min(1),
        tls: z.boolean().default(false).describe('Speak TLS to sentinels and servers'),
      })
      .optional(),
    cluster: z.strictObject({ nodes: z.array(redisUrl).min(1) }).optional(),
    username: secretRefSchema.optional(),
    password: secretRefSchema.optional(),
    plaintext: z.boolean().optional().describe('redis:// beyond this machine is meant; the start record names it'),
    ca_file: z.string().optional().describe('CA certificates (PEM) when the server has a private one'),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9_:.-]{1,64}$/, 'letters, digits, "_", ":", "." and "-", at most 64')
      .default('sallyport')
      .describe('Prefix of the names of all keys'),
    timeout_ms: z.int().min(10).max(60_000).default(1000).describe('A store that takes longer counts as unavailable'),
    max_skew_seconds: z
      .int()
      .min(1)
      .max(3600)
      .default(30)
      .describe('A replica whose clock differs more than this from that of the store is not ready'),
  })
  .refine(({ url, sentinel, cluster }) => [url, sentinel, cluster].filter((each) => each !== undefined).length === 1, {
    message: 'give exactly one of url, sentinel and cluster',
  });

/** Without "redis", everything is kept in the memory of the process and ends with it. */
export const storeSchema = z.strictObject({ redis: redis.optional() }).prefault({});

/** One server, a Sentinel group or a Cluster, and how to connect to it. */
export type RedisConfig = z.infer<typeof redis>;

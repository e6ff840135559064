// The schema of policies/data.yaml: every number and table that a security team tunes. It is strict, so a
// misspelt key is an error with its path, not a limit that silently does not hold.
import { z } from 'zod';

const grade = z.enum(['allow', 'rotate', 'deny']);
const positive = z.int().positive();

const ageLimit = z.strictObject({ limit_seconds: positive, grade });
const useLimit = z.strictObject({ limit: positive, grade });

const network = z.union([z.cidrv4(), z.cidrv6()]);
const places = z.record(z.string(), z.array(network).min(1));

const bindingFields = {
  client: grade,
  key: grade,
  key_added: grade,
  ip: grade,
  network: grade,
  network_added: grade,
  concurrent_networks: grade,
  overlap_seconds: z.int().nonnegative(),
};

/** An older data.yaml has neither: the strict side holds for the first, and no two networks are one place. */
const binding = z.strictObject({ ...bindingFields, first_crossing: grade.default('deny'), places: places.default({}) });
// A default here would override what holds for all.
const bindingOverride = z.strictObject({ ...bindingFields, first_crossing: grade, places }).partial();

const lifetime = z.strictObject({
  token_age: ageLimit,
  token_uses: useLimit,
  idle: ageLimit,
  absolute: ageLimit,
  sessions_per_client: positive,
});

const replay = z.strictObject({
  seen: z.enum(['allow', 'deny']),
  revoke_on_other_network: z.boolean(),
  /** "allow" is not offered: facts that were lost prove nothing in favour of a call. */
  history_lost: z.enum(['rotate', 'deny']),
  require_source_for: z.array(z.enum(['read', 'write', 'destructive'])),
});

const usage = z.strictObject({
  calls_per_minute: positive,
  calls_per_hour: positive,
  in_flight: positive,
  denials_per_hour: positive,
});

const overrides = z.strictObject({
  binding: bindingOverride.optional(),
  lifetime: z
    .strictObject({
      token_age: ageLimit.partial().optional(),
      token_uses: useLimit.partial().optional(),
      idle: ageLimit.partial().optional(),
      absolute: ageLimit.partial().optional(),
      sessions_per_client: positive.optional(),
    })
    .optional(),
  replay: replay.partial().optional(),
  usage: usage.partial().optional(),
});

/** The settings. Entries under `backends` and `tools` override the general ones. */
export const settingsSchema = z.strictObject({
  access: z.strictObject({
    roles: z.record(z.string(), z.strictObject({ tools: z.array(z.string()) })),
    scopes: z.record(z.string(), z.array(z.string())),
    hide_without_scope: z.boolean().default(false),
    networks: z.record(z.string(), z.array(network).min(1)).optional(),
    masks: z.record(
      z.string(),
      z.strictObject({ pointers: z.array(z.string().startsWith('/')).min(1), except_roles: z.array(z.string()) }),
    ),
  }),
  binding,
  lifetime,
  replay,
  usage,
  backends: z.record(z.string(), overrides),
  tools: z.record(z.string(), overrides),
});

/** The checked settings, as the policy reads them. */
export type Settings = z.infer<typeof settingsSchema>;

/** data.yaml as it was read: the settings, the name of the file in problems, and the line of a path in it. */
export interface SettingsFile {
  settings: Settings;
  file: string;
  lineOf: (path: PropertyKey[]) => number;
}

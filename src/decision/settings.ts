// The schema of policies/data.yaml: every number and table that a security team tunes. It is strict, so a misspelt key
// is an error with its path, not a limit that silently does not hold. What a file does not say, the shipped defaults
// say (policies/sallyport/defaults.yaml), so that a setting that is new in a version never breaks an older file.
import { z } from 'zod';
import { isTimeZone } from '../core/zones.ts';
import { STRICT_SIDE } from '../formats/json-schema.ts';
import { ALERT_DEFAULTS, alertSettingsSchema } from './alerts/settings.ts';

/**
 * Which side of a setting is the strict one. Settings for a role may only tighten: `smaller` and `larger` of two
 * numbers, `grade` in the order allow, rotate, deny, `true`, `union` of two lists, and `limit` for a limit with its
 * grade, which are one value. A setting without a side cannot be given for a role.
 */
export type StrictSide = 'smaller' | 'larger' | 'grade' | 'true' | 'union' | 'limit';
const stricter = (side: StrictSide) => ({ [STRICT_SIDE]: side });

const grade = z.enum(['allow', 'rotate', 'deny']).meta(stricter('grade'));
const positive = z.int().positive();
const smaller = positive.meta(stricter('smaller'));
const effect = z.enum(['read', 'write', 'destructive']);

const network = z.union([z.cidrv4(), z.cidrv6()]);
const places = z.record(z.string(), z.array(network).min(1));

const binding = z.strictObject({
  client: grade,
  key: grade,
  key_added: grade,
  ip: grade,
  network: grade,
  network_added: grade,
  first_crossing: grade,
  concurrent_networks: grade,
  places,
  overlap_seconds: z.int().nonnegative().meta(stricter('larger')),
});

const limitFields = {
  token_age: 'limit_seconds',
  token_uses: 'limit',
  idle: 'limit_seconds',
  absolute: 'limit_seconds',
};
type LimitName = keyof typeof limitFields;
const ageLimit = z.strictObject({ limit_seconds: positive, grade });
const useLimit = z.strictObject({ limit: positive, grade });
const limits = { token_age: ageLimit, token_uses: useLimit, idle: ageLimit, absolute: ageLimit };
const lifetime = z.strictObject({ ...limits, sessions_per_client: smaller });
const partialLimits = {
  token_age: ageLimit.partial(),
  token_uses: useLimit.partial(),
  idle: ageLimit.partial(),
  absolute: ageLimit.partial(),
};
const wholeLimit = stricter('limit');
const roleLimits = {
  token_age: ageLimit.meta(wholeLimit),
  token_uses: useLimit.meta(wholeLimit),
  idle: ageLimit.meta(wholeLimit),
  absolute: ageLimit.meta(wholeLimit),
};

const replay = z.strictObject({
  seen: z.enum(['allow', 'deny']).meta(stricter('grade')),
  revoke_on_other_network: z.boolean().meta(stricter('true')),
  /** "allow" is not offered: facts that were lost prove nothing in favour of a call. */
  history_lost: z.enum(['rotate', 'deny']).meta(stricter('grade')),
  require_source_for: z.array(effect).meta(stricter('union')),
});

const usage = z.strictObject({
  calls_per_minute: smaller,
  calls_per_hour: smaller,
  in_flight: smaller,
  denials_per_hour: smaller,
});

/** Settings of the site's own rules. Their schema is the site's: `settings.schema.json` beside its rules. */
const site = z.record(z.string(), z.unknown());
const named = z.string().min(1);

const overrides = z.strictObject({
  binding: binding.partial().optional(),
  lifetime: lifetime.extend(partialLimits).partial().optional(),
  replay: replay.partial().optional(),
  usage: usage.partial().optional(),
  site: site.optional(),
});

const roleOverrides = z.strictObject({
  binding: binding.omit({ places: true }).partial().optional(),
  lifetime: lifetime.extend(roleLimits).partial().optional(),
  replay: replay.partial().optional(),
  usage: usage.partial().optional(),
  site: site.optional(),
});

const mask = z.strictObject({
  pointers: z.array(z.string().regex(/^(\/([^~/]|~[01])*)+$/, 'is no JSON pointer such as "/items/*/price"')).min(1),
  except_roles: z.array(z.string()),
  /** Whether a result in which a pointer meets nothing is withheld. */
  required: z.boolean().optional(),
});

const access = z.strictObject({
  roles: z.record(z.string(), z.strictObject({ tools: z.array(z.string()) })),
  scopes: z.record(z.string(), z.array(z.string())),
  hide_without_scope: z.boolean(),
  networks: z.record(z.string(), z.array(network).min(1)).optional(),
  masks: z.record(z.string(), mask),
});

const zone = z.string().refine(isTimeZone, 'is no time zone that this machine knows, such as "Europe/Berlin"');
const shared = {
  /** Time zones whose local time the decision input has (`input.time.zones`). */
  zones: z.array(zone).optional(),
  backends: z.record(named, overrides),
  tools: z.record(named, overrides),
  roles: z.record(named, roleOverrides).optional(),
  site: site.optional(),
};

/** All settings, with the shipped defaults for what data.yaml does not say. */
export const settingsSchema = z.strictObject({
  ...{ access, binding, lifetime, replay, usage },
  // The defaults of a folder that an older version has written do not have them.
  alerts: alertSettingsSchema.default(ALERT_DEFAULTS),
  ...shared,
});

/**
 * What data.yaml may say. The groups must be there, so that one that was lost in an edit is noticed; within them,
 * whatever is left out has its shipped default.
 */
export const settingsFileSchema = z.strictObject({
  access: access.partial({ scopes: true, hide_without_scope: true, masks: true }),
  binding: binding.partial(),
  lifetime: lifetime.extend(partialLimits).partial(),
  replay: replay.partial(),
  usage: usage.partial(),
  alerts: alertSettingsSchema.partial().optional(),
  ...shared,
});

/** The groups that backends, tools and roles can override. */
export const GROUPS = ['binding', 'lifetime', 'replay', 'usage', 'site'] as const;
export type Group = (typeof GROUPS)[number];

const at = z.int().nonnegative();
const whereSchema = z.strictObject({ binding: at, lifetime: at, replay: at, usage: at, site: at });

/**
 * The settings as the policy reads them: in `merged`, every group once for each way in which overrides change it, and
 * `at` says which holds for a role, a backend and a tool; the name "" stands for all that have no overrides. `tools` has
 * the tools that each role lists, by name.
 */
export const loadedSettingsSchema = settingsSchema.extend({
  merged: z.strictObject({
    binding: z.array(binding),
    lifetime: z.array(lifetime),
    replay: z.array(replay),
    usage: z.array(usage),
    site: z.array(site),
    at: z.record(z.string(), z.record(z.string(), z.record(z.string(), whereSchema))),
    tools: z.record(z.string(), z.record(z.string(), z.literal(true))),
  }),
});

/** The settings of data.yaml, with defaults. */
export type Settings = z.infer<typeof settingsSchema>;
/** What stands in data.yaml itself. */
export type WrittenSettings = z.infer<typeof settingsFileSchema>;
/** The settings as the policy reads them. */
export type LoadedSettings = z.infer<typeof loadedSettingsSchema>;
/** Where the merged groups for one combination of role, backend and tool stand. */
export type Where = z.infer<typeof whereSchema>;

/** The number of a limit, by the name of the limit. */
export const LIMIT_FIELDS: Readonly<Record<LimitName, string>> = limitFields;

/** data.yaml as it was read: the settings, the name of the file in problems, and the line of a path in it. */
export interface SettingsFile {
  settings: LoadedSettings;
  file: string;
  lineOf: (path: PropertyKey[]) => number;
}

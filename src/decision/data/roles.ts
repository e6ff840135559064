// Settings for a role come in addition to what holds anyway, so a looser value would have no effect. It is an error
// rather than a control that is not there.
import { z } from 'zod';
import { isObject, type JsonObject } from '../../formats/json.ts';
import { STRICT_SIDE } from '../../formats/json-schema.ts';
import { LIMIT_FIELDS, type Settings, type StrictSide, settingsSchema } from '../settings.ts';
import type { Violation } from './site-settings.ts';

const GRADES = ['allow', 'rotate', 'deny'];
const WORDS: Record<StrictSide, string> = {
  smaller: 'smaller is stricter',
  larger: 'larger is stricter',
  grade: 'the order is allow, rotate, deny',
  true: 'true is stricter',
  union: 'what a role adds counts',
  limit: 'a smaller limit or a stricter grade',
};

let known: JsonObject | undefined;
/** The sides stand in the published schema, so they are read from there, for the site's settings as for ours. */
const shippedSchema = (): JsonObject => {
  known ??= z.toJSONSchema(settingsSchema, { target: 'draft-7' }) as unknown as JsonObject;
  return known;
};

/** The strict side of the setting at a path such as ["lifetime", "sessions_per_client"]; undefined where it has none. */
export function strictSide(path: readonly string[], siteSchema: JsonObject | undefined): StrictSide | undefined {
  let schema: unknown = {
    properties: { ...(shippedSchema().properties as JsonObject), ...(siteSchema && { site: siteSchema }) },
  };
  for (const name of path) {
    const properties = isObject(schema) && isObject(schema.properties) ? schema.properties : {};
    schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
  }
  return isObject(schema) ? (schema[STRICT_SIDE] as StrictSide | undefined) : undefined;
}

/** Everything that a role says and that tightens nothing. `siteSchema` names the sides of the site's settings. */
export function looserForRoles(settings: Settings, siteSchema: JsonObject | undefined): Violation[] {
  const properties: Record<string, unknown> = {
    ...(shippedSchema().properties as JsonObject),
    ...(siteSchema && { site: siteSchema }),
  };
  return Object.entries(settings.roles ?? {}).flatMap(([role, groups]) =>
    Object.entries(groups).flatMap(([group, value]) =>
      looser(value, (settings as Record<string, unknown>)[group], properties[group], ['roles', role, group]),
    ),
  );
}

function looser(said: unknown, base: unknown, schema: unknown, path: PropertyKey[]): Violation[] {
  if (said === undefined) return [];
  const side = isObject(schema) ? (schema[STRICT_SIDE] as StrictSide | undefined) : undefined;
  const last = String(path.at(-1));
  const limit = path[2] === 'lifetime' && last in LIMIT_FIELDS ? 'limit' : undefined;
  const strict = limit ?? side;
  if (strict !== undefined) {
    if (base === undefined || tightens(strict, said, base, LIMIT_FIELDS[last as keyof typeof LIMIT_FIELDS])) return [];
    const message = `is looser than the ${short(base)} that holds for all, and a role can only tighten (${WORDS[strict]}); to loosen it, loosen the general value and add a rule of the site`;
    return [{ path, message }];
  }
  const properties = isObject(schema) ? schema.properties : undefined;
  if (!isObject(said) || !isObject(properties))
    return [{ path, message: `cannot be set for a role: its schema has no "${STRICT_SIDE}"` }];
  return Object.entries(said).flatMap(([key, value]) =>
    looser(value, isObject(base) ? base[key] : undefined, properties[key], [...path, key]),
  );
}

/** Whether `said` is no looser than `base` and differs, or is as strict, on that side. */
export function tightens(side: StrictSide, said: unknown, base: unknown, field = 'limit'): boolean {
  switch (side) {
    case 'smaller':
      return Number(said) <= Number(base);
    case 'larger':
      return Number(said) >= Number(base);
    case 'grade':
      return GRADES.indexOf(String(said)) >= GRADES.indexOf(String(base));
    case 'true':
      return said === true || base === false;
    case 'union':
      return Array.isArray(said) && Array.isArray(base) && said.some((item) => !base.includes(item));
    case 'limit': {
      if (!isObject(said) || !isObject(base)) return false;
      const stricter = GRADES.indexOf(String(said.grade)) - GRADES.indexOf(String(base.grade));
      const smaller = Number(base[field]) - Number(said[field]);
      // A grade of "allow" stops nothing, however small the limit.
      if (said.grade === 'allow') return base.grade === 'allow' && smaller >= 0;
      return stricter > 0 || smaller > 0 || (stricter === 0 && smaller === 0);
    }
  }
}

const short = (value: unknown): string => JSON.stringify(value).slice(0, 80);

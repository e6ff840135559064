// Settings of the site's own rules (`settings.site`), checked against the JSON Schema that lies beside those rules.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../formats/json.ts';
import { STRICT_SIDE, schemaProblem, violations } from '../../formats/json-schema.ts';
import { type PolicyPaths, shown } from './paths.ts';

/** Name of the schema in the folder of the site's rules. */
export const SITE_SCHEMA = 'settings.schema.json';

/** The path of a setting, and what is wrong with it. */
export interface Violation {
  path: PropertyKey[];
  message: string;
}

/**
 * The site's schema, closed: a key that an object with `properties` does not name is an error. Undefined when there is
 * none. Throws an OperatorError when it cannot be used.
 */
export function readSiteSchema({ site }: PolicyPaths): JsonObject | undefined {
  const path = join(site, SITE_SCHEMA);
  if (!existsSync(path)) return undefined;
  let schema: unknown;
  try {
    schema = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new OperatorError(`${shown(path)} is no JSON`);
  }
  if (!isObject(schema) || schema.type !== 'object' || !isObject(schema.properties))
    throw new OperatorError(`${shown(path)} must be a JSON Schema with "type": "object" and "properties"`);
  const { $schema: _dialect, ...rest } = closed(schema as JsonObject) as JsonObject;
  const problem = schemaProblem(rest) ?? oddSide(rest);
  if (problem !== undefined) throw new OperatorError(`${shown(path)}: ${problem}`);
  return rest;
}

/** What does not match in `settings.site` of one place, such as `['backends', 'payroll', 'site']`. */
export function siteViolations(schema: JsonObject | undefined, value: unknown, at: PropertyKey[]): Violation[] {
  if (schema)
    return [
      ...violations(schema, value).map(({ path, message }) => ({ path: [...at, ...path], message })),
      ...oddNetworks(value, at),
    ];
  if (!isObject(value) || Object.keys(value).length === 0) return [];
  return [
    { path: at, message: `has values, and there is no ${SITE_SCHEMA} beside the rules of the site to check them` },
  ];
}

/** A word for the strict side that there is not. */
function oddSide(schema: unknown): string | undefined {
  if (Array.isArray(schema)) return schema.map(oddSide).find((odd) => odd !== undefined);
  if (!isObject(schema)) return undefined;
  const side = schema[STRICT_SIDE];
  if (side !== undefined && !SIDES.includes(String(side))) return `"${STRICT_SIDE}" is one of ${SIDES.join(', ')}`;
  return Object.values(schema)
    .map(oddSide)
    .find((odd) => odd !== undefined);
}
const SIDES = ['smaller', 'larger', 'grade', 'true', 'union'];

/** Texts that look like a network and are none: a rule that asks for such a network is left out. */
function oddNetworks(value: unknown, at: PropertyKey[]): Violation[] {
  if (typeof value === 'string')
    return /^[0-9a-fA-F:.]+\/\d+$/.test(value) && !NETWORK.safeParse(value).success
      ? [{ path: at, message: `"${value}" is no network` }]
      : [];
  if (Array.isArray(value)) return value.flatMap((item, i) => oddNetworks(item, [...at, i]));
  return isObject(value) ? Object.entries(value).flatMap(([key, item]) => oddNetworks(item, [...at, key])) : [];
}
const NETWORK = z.union([z.cidrv4(), z.cidrv6()]);

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!isObject(schema)) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return isObject(schema.properties) && !('additionalProperties' in schema)
    ? { ...inner, additionalProperties: false }
    : inner;
}

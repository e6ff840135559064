// What a connector.yaml tells the gate and a start about the policy: the tools with their arguments and results, the
// backends. A control for a misspelt name is none.
import type { Config } from '../config/load.ts';
import type { Manifest } from '../decision/manifest.ts';
import type { LoadedSettings } from '../decision/settings.ts';
import { isObject, type JsonObject, pointerTokens } from '../formats/json.ts';
import { isInt64 } from '../formats/json-schema.ts';
import { nearest } from './gate/finding.ts';
import type { ConfiguredNames, ToolWords } from './gate/vocabulary.ts';

type Tools = Config['tools'];

/** The names of a configuration, as the gate takes them. */
export function configuredNames({
  tools,
  backends,
  identity,
}: Pick<Config, 'tools' | 'backends'> & Partial<Pick<Config, 'identity'>>): ConfiguredNames {
  return {
    tools: new Map(Object.entries(tools).map(([name, tool]) => [name, wordsOf(tool)])),
    backends: new Set(Object.keys(backends)),
    ...(identity && !identity.keys && { claims: new Set(identity.claims.policy) }),
  };
}

function wordsOf({ arguments: schema, audit, result, effect, backend }: Tools[string]): ToolWords {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const large = Object.entries(properties).filter(([, one]) => isObject(one) && mayBeText(one as JsonObject));
  return {
    ...{ backend, effect },
    arguments: new Set(Object.keys(properties)),
    audit: new Set(audit),
    large: new Set(large.map(([name]) => name)),
    result: result.schema as JsonObject | undefined,
  };
}

/** Whether a number may arrive as text: 64 bits, or a type that takes both. */
const mayBeText = (schema: JsonObject): boolean =>
  isInt64(schema) ||
  (Array.isArray(schema.type) &&
    schema.type.includes('string') &&
    schema.type.some((t) => t === 'integer' || t === 'number'));

/** Why a pointer of a mask cannot meet anything in the results of a tool; undefined when it can, or nobody knows. */
export function absentIn(schema: JsonObject | undefined, pointer: string): string | undefined {
  if (!schema) return undefined;
  let names: string[] = [];
  const find = (inside: unknown, [token, ...rest]: string[], depth: number): boolean => {
    if (token === undefined || !isObject(inside) || depth > 32) return true;
    const at = (next: unknown) => find(next, rest, depth + 1);
    const branches = ['anyOf', 'oneOf', 'allOf'].flatMap((key) =>
      Array.isArray(inside[key]) ? (inside[key] as unknown[]) : [],
    );
    const target =
      typeof inside.$ref === 'string' && inside.$ref.startsWith('#') ? resolved(schema, inside.$ref) : undefined;
    if ([...branches, ...(target ? [target] : [])].some((branch) => find(branch, [token, ...rest], depth + 1)))
      return true;
    if (token === '*' || /^\d+$/.test(token)) if (inside.items !== undefined) return at(inside.items);
    const { properties, additionalProperties: extra } = inside;
    if (isObject(properties)) {
      if (Object.hasOwn(properties, token)) return at(properties[token]);
      names = Object.keys(properties);
      return extra === true || isObject(extra);
    }
    // A schema that says nothing of its members, or none at all, may have any.
    return (
      branches.length === 0 &&
      target === undefined &&
      inside.items === undefined &&
      (inside.type === undefined || inside.type === 'object' || inside.type === 'array')
    );
  };
  const tokens = pointerTokens(pointer);
  if (find(schema, tokens, 0)) return undefined;
  const meant = nearest(tokens.at(-1) ?? '', names);
  return `"${pointer}" is nowhere in the output schema of the tool, so it hides nothing${meant ? `; did you mean "${meant}"?` : ''}`;
}

function resolved(schema: JsonObject, ref: string): unknown {
  return pointerTokens(ref.slice(1)).reduce<unknown>(
    (value, token) => (isObject(value) && Object.hasOwn(value, token) ? value[token] : undefined),
    schema,
  );
}

/** Every mask of data.yaml that hides nothing in the results of its tool, with its path in the settings. */
export function absentMasks(
  { access }: LoadedSettings,
  { tools }: Pick<ConfiguredNames, 'tools'>,
): { path: PropertyKey[]; message: string }[] {
  return Object.entries(access.masks).flatMap(([tool, { pointers }]) =>
    pointers.flatMap((pointer, i) => {
      const message = absentIn(tools.get(tool)?.result, pointer);
      return message === undefined ? [] : [{ path: ['access', 'masks', tool, 'pointers', i], message }];
    }),
  );
}

/** Arguments that rules read and that the `audit` list of a tool lacks: its decisions cannot be reproduced. */
export function unlistedArguments(
  { reads_arguments: reads = {} }: Manifest,
  { tools }: Pick<ConfiguredNames, 'tools'>,
): { argument: string; tools: string[] }[] {
  return Object.entries(reads).flatMap(([argument, named]) => {
    const those = [...tools].filter(
      ([tool, words]) =>
        (named.length === 0 || named.includes(tool)) &&
        (argument === '*'
          ? [...words.arguments].some((name) => !words.audit.has(name))
          : words.arguments.has(argument) && !words.audit.has(argument)),
    );
    return those.length === 0 ? [] : [{ argument, tools: those.map(([tool]) => tool) }];
  });
}

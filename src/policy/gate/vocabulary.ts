// Literals that a fact can never have: a rule that waits for one is a control that is not there.

import { z } from 'zod';
import type { Effect } from '../../decision/schema.ts';
import { isObject, type JsonObject } from '../../formats/json.ts';
import { type Comparison, comparisonsOf, inputPaths, objectGet, toolsNamed } from '../rego/conditions.ts';
import { lineOf, type Module } from '../rego/modules.ts';
import {
  type Expression,
  eachCall,
  eachTerm,
  type Location,
  pathOf,
  type Rule,
  scalarOf,
  type Term,
} from '../rego/terms.ts';
import { literalsOf } from '../rego/values.ts';
import { nearest, oneOf, type Report } from './finding.ts';

/** Names that only a configuration knows. Undefined: not known, so not checked. */
export interface Vocabulary {
  /** The published schema of the decision input. */
  input: Schema;
  /** Zones of settings.zones. */
  zones: ReadonlySet<string>;
  roles?: ReadonlySet<string> | undefined;
  tools?: ReadonlyMap<string, ToolWords> | undefined;
  backends?: ReadonlySet<string> | undefined;
  claims?: ReadonlySet<string> | undefined;
}

/** The tools and backends of a connector.yaml. */
export interface ConfiguredNames {
  tools: ReadonlyMap<string, ToolWords>;
  backends: ReadonlySet<string>;
  /** Claims that policies may read; undefined where clients have attributes, whose names are in a file of theirs. */
  claims?: ReadonlySet<string> | undefined;
}

/** What rules may say about a tool. */
export interface ToolWords {
  backend: string;
  effect: Effect;
  arguments: ReadonlySet<string>;
  audit: ReadonlySet<string>;
  /** Arguments that may arrive as text of a whole number. */
  large: ReadonlySet<string>;
  /** Schema of its results, where it has one. */
  result: JsonObject | undefined;
}

/** The part of a JSON Schema that is looked at. */
export interface Schema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  anyOf?: Schema[];
}

const IPV4_OR_6 = z.union([z.ipv4(), z.ipv6()]);
const NETWORK = z.union([z.cidrv4(), z.cidrv6()]);

/** Checks the comparisons of every rule. */
export function checkVocabulary(modules: readonly Module[], words: Vocabulary, report: Report): void {
  for (const module of modules)
    for (const rule of module.rules) {
      const at = (location: Location | undefined): Location => ({
        file: module.file,
        row: location?.row ?? lineOf(rule),
      });
      for (const comparison of comparisonsOf(module, rule))
        for (const literal of comparison.literals) {
          const problem = impossible(comparison, literal, words);
          if (problem !== undefined) report.error('vocabulary', at(literal.location ?? comparison.location), problem);
        }
      checkEffects(module, rule, words, (location, message) => report.error('vocabulary', at(location), message));
      checkNegations(rule, words.input, (location, message) => report.warn('vocabulary', at(location), message));
      checkNetworks(rule, (location, message) => report.error('vocabulary', at(location), message));
      checkTables(module, rule, words, (location, message) => report.error('vocabulary', at(location), message));
    }
}

/** Why a comparison never holds, or always does. */
function impossible({ path, operator }: Comparison, literal: Term, words: Vocabulary): string | undefined {
  const value = scalarOf(literal);
  const name = path
    .map((part) => part ?? '[_]')
    .join('.')
    .replaceAll('.[_]', '[_]');
  const schema = schemaAt(words.input, path.slice(1));
  if (schema) {
    const types = typesOf(schema);
    const type = value === null ? 'null' : typeof value;
    if (types.size > 0 && !types.has(type))
      return `${name} is never ${JSON.stringify(value)}: it is ${[...types].join(' or ')}`;
    const choices = choicesOf(schema);
    if (choices && !choices.includes(value)) {
      const texts = choices.filter((c) => c !== null).map(String);
      const meant = nearest(String(value), texts);
      return `${name} is never ${JSON.stringify(value)}${meant ? ` (did you mean "${meant}"?)` : ''}: there are ${oneOf(texts)}`;
    }
    if (typeof value === 'number') {
      const bounds = boundsOf(schema);
      const never = outside(value, operator, bounds);
      if (never)
        return `${name} ${never} ${value}: it is ${bounds.most === undefined ? `${bounds.least} or more` : `from ${bounds.least} to ${bounds.most}`}`;
    }
  }
  return typeof value === 'string' ? unknownName(name, value, words) : undefined;
}

/** Names and spellings that the schema does not list. */
function unknownName(name: string, value: string, { roles, tools, backends }: Vocabulary): string | undefined {
  const check = (kind: string, known: Iterable<string> | undefined): string | undefined => {
    const names = known && [...known];
    // The empty text stands for "none" in rules, and is no name.
    if (!names || value === '' || names.includes(value)) return undefined;
    const meant = nearest(value, names);
    return `there is no ${kind} "${value}"${meant ? `; did you mean "${meant}"?` : `; there are ${oneOf(names.slice(0, 12))}`}`;
  };
  switch (name) {
    case 'input.client.roles[_]':
      return check('role', roles);
    case 'input.tool.name':
    case 'input.tools[_].name':
      return check('tool', tools?.keys());
    case 'input.tool.backend':
    case 'input.tools[_].backend':
      return check('backend', backends);
    case 'input.client.ip':
      return IPV4_OR_6.safeParse(value).success
        ? undefined
        : `input.client.ip is never "${value}": it is one address; for a network use net.cidr_contains`;
    case 'input.client.network':
    case 'input.usage.networks[_].network':
      return NETWORK.safeParse(value).success
        ? undefined
        : `${name} is never "${value}": it is a network such as "10.1.2.0/24"`;
    default:
      return undefined;
  }
}

/** A rule for a tool that asks for an effect which that tool does not have. */
function checkEffects(
  module: Module,
  rule: Rule,
  { tools }: Vocabulary,
  tell: (location: Location | undefined, message: string) => void,
): void {
  const named = toolsNamed(module, rule).filter((tool) => tools?.has(tool));
  if (!tools || named.length === 0) return;
  for (const { path, operator, literals, location } of comparisonsOf(module, rule)) {
    if (path.join('.') !== 'input.tool.effect' || (operator !== 'eq' && operator !== 'in')) continue;
    const effects = literals.map(scalarOf);
    if (!named.some((tool) => effects.includes(tools.get(tool)?.effect)))
      tell(location, `${named.join(', ')} never has effect ${effects.map((effect) => `"${effect}"`).join(' or ')}`);
  }
}

/**
 * `not f(g(x))`: OPA evaluates the inner part before the negation, so where a fact in it is missing, the rule is left out
 * as a whole and `not` does not hold.
 */
function checkNegations(
  rule: Rule,
  schema: Schema,
  tell: (location: Location | undefined, message: string) => void,
): void {
  const visit = (body: readonly Expression[]) => {
    for (const { negated, terms, location } of body) {
      if (!negated || !Array.isArray(terms)) continue;
      for (const argument of terms.slice(1)) {
        if (argument.type === 'ref' || argument.type === 'var') continue;
        eachTerm(argument, (term) => {
          const path = term.type === 'ref' ? pathOf(term) : undefined;
          if (path?.[0] !== 'input' || !mayBeMissing(schema, path.slice(1))) return;
          tell(
            term.location ?? location,
            `where ${path.map((part) => part ?? '[_]').join('.')} is missing, "not" does not hold and the rule is left out: put the expression into a rule of its own, and write "not" before that`,
          );
        });
      }
    }
  };
  for (let branch: Rule | undefined = rule; branch; branch = branch.else) visit(branch.body);
}

/** Whether a fact may be left out of an input. */
function mayBeMissing(schema: Schema | undefined, [part, ...rest]: (string | null)[]): boolean {
  if (!schema || part === undefined) return false;
  if (typesOf(schema).has('null')) return true;
  if (part === null) return mayBeMissing(schema.items, rest);
  const inner = schema.properties?.[part];
  return !inner || !schema.required?.includes(part) || mayBeMissing(inner, rest);
}

/** A network that cannot be read makes a rule undefined, which is as if it were not there. */
function checkNetworks(rule: Rule, tell: (location: Location | undefined, message: string) => void): void {
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    const text = term.type === 'string' ? String(term.value) : '';
    if (/^[0-9a-fA-F:.]+\/\d+$/.test(text) && !NETWORK.safeParse(text).success)
      tell(term.location, `"${text}" is no network such as "10.8.0.0/16"`);
  });
  eachCall([rule.head, rule.body, rule.else], ({ name, args: [network, address], location }) => {
    if (!/^net\.cidr_(contains|intersects|expand|contains_matches)$/.test(name)) return;
    const text = scalarOf(network);
    if (text !== undefined && !NETWORK.safeParse(text).success)
      tell(location, `${JSON.stringify(text)} is no network such as "10.8.0.0/16"`);
    const other = scalarOf(address);
    if (other !== undefined && !NETWORK.safeParse(other).success && !IPV4_OR_6.safeParse(other).success)
      tell(location, `${JSON.stringify(other)} is neither an address nor a network`);
  });
}

/** Names that are written as a key: a zone, an argument. */
function checkTables(
  module: Module,
  rule: Rule,
  { zones, tools, input, claims }: Vocabulary,
  tell: (location: Location | undefined, message: string) => void,
): void {
  eachTerm([rule.head, rule.body, rule.else], (term) => {
    if (term.type !== 'ref' && !objectGet(term)) return;
    for (const written of inputPaths(rule, term)) {
      const path = withKeys(module, rule, term, written);
      const known = objectGet(term) && !/^input\.(tool\.arguments|time\.zones|client\.claims)/.test(path.join('.'));
      if (known && !schemaAt(input, path.slice(1)))
        tell(term.location, `there is no ${path.join('.')}, so object.get always gives the default`);
      const [, group, table, key] = path;
      if (group === 'time' && table === 'zones' && typeof key === 'string' && !zones.has(key))
        tell(
          term.location,
          `input.time.zones has no "${key}": add it to settings.zones in data.yaml${zones.size > 0 ? ` (there are ${oneOf(zones)})` : ''}`,
        );
      if (group === 'client' && table === 'claims' && typeof key === 'string' && claims && !claims.has(key))
        tell(term.location, `identity.claims.policy does not name "${key}", so input.client.claims never has it`);
      if (group === 'tool' && table === 'arguments' && typeof key === 'string' && tools) {
        const named = toolsNamed(module, rule).filter((tool) => tools.has(tool));
        const those = named.length > 0 ? named.map((tool) => tools.get(tool) as ToolWords) : [...tools.values()];
        const all = those.flatMap(({ arguments: names }) => [...names]);
        if (all.includes(key)) continue;
        const meant = nearest(key, all);
        const who = named.length > 0 ? named.join(', ') : 'no tool';
        tell(
          term.location,
          `${who} ${named.length > 0 ? 'has no' : 'has an'} argument "${key}"${meant ? `; did you mean "${meant}"?` : ''}`,
        );
      }
    }
  });
}

/** The path with a computed key put in, where that is a name for a literal: `zone := "…"; input.time.zones[zone]`. */
function withKeys(module: Module, rule: Rule, term: Term, path: (string | null)[]): (string | null)[] {
  if (term.type !== 'ref') return path;
  const parts = term.value as Term[];
  const offset = path.length - parts.length;
  return path.map((part, i) => {
    const written = parts[i - offset];
    if (part !== null || !written) return part;
    const [literal, ...more] = literalsOf(module, rule, written).map(scalarOf);
    return typeof literal === 'string' && more.length === 0 ? literal : part;
  });
}

function schemaAt(schema: Schema | undefined, [part, ...rest]: (string | null)[]): Schema | undefined {
  if (!schema || part === undefined) return schema;
  const extra = isObject(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
  const inner = part === null ? (schema.items ?? extra) : (schema.properties?.[part] ?? extra);
  return schemaAt(inner, rest);
}

/** The types as literals have them. Empty where the schema says nothing. */
function typesOf(schema: Schema): Set<string> {
  const branches = schema.anyOf ?? [schema];
  const types = branches.flatMap((branch) => {
    if (branch.type === undefined) return branch.enum ? branch.enum.map((v) => (v === null ? 'null' : typeof v)) : [];
    return [branch.type].flat().map((type) => (type === 'integer' ? 'number' : type));
  });
  return new Set(branches.every((branch) => branch.type !== undefined || branch.enum) ? types : []);
}

function choicesOf(schema: Schema): unknown[] | undefined {
  const branches = schema.anyOf ?? [schema];
  const lists = branches.map((branch) =>
    branch.const !== undefined ? [branch.const] : branch.type === 'null' ? [null] : branch.enum,
  );
  // `false` is what a rule compares with where a fact that is only ever true is left out.
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}

interface Bounds {
  least: number | undefined;
  most: number | undefined;
}

function boundsOf(schema: Schema): Bounds {
  const branch = (schema.anyOf ?? [schema]).find(({ type }) => type === 'integer' || type === 'number') ?? {};
  const least = branch.exclusiveMinimum === undefined ? branch.minimum : branch.exclusiveMinimum + 1;
  return { least, most: branch.maximum };
}

function outside(
  value: number,
  operator: Comparison['operator'],
  { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }: Bounds,
): string | undefined {
  switch (operator) {
    case 'eq':
    case 'in':
    case 'contains':
      return value < least || value > most ? 'is never' : undefined;
    case 'neq':
      return value < least || value > most ? 'is always other than' : undefined;
    case 'lt':
      return value <= least ? 'is never below' : value > most ? 'is always below' : undefined;
    case 'lte':
      return value < least ? 'is never at or below' : value >= most ? 'is always at or below' : undefined;
    case 'gt':
      return value >= most ? 'is never above' : value < least ? 'is always above' : undefined;
    case 'gte':
      return value > most
        ? 'is never at or above'
        : value <= least && Number.isFinite(least)
          ? 'is always at or above'
          : undefined;
  }
}

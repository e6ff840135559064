// The settings that a change of a policy changes, in words, each with the comment that stands beside it. The effective values
// are compared, so a shipped default that changed with the version is among them.
import { existsSync, readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { PACKAGED } from '../../decision/data/paths.ts';
import { strictSide, tightens } from '../../decision/data/roles.ts';
import { readSiteSchema } from '../../decision/data/site-settings.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { canonicalJson, isObject, type JsonObject, valueAt } from '../../formats/json.ts';
import { commentsOf } from '../../formats/yaml/comments.ts';
import type { LoadedVersion } from '../versions/load.ts';

/** One setting that changed. */
export interface SettingChange {
  /** As data.yaml has it, such as "backends.inventory.lifetime.token_age.limit_seconds". */
  path: string;
  /** In words, such as "token age of inventory". */
  name: string;
  /** As a person reads them, such as "300 s"; undefined where it says nothing, and nothing more general does. */
  before: string | undefined;
  after: string | undefined;
  /** Of a list, what was added to it and taken from it. */
  added: string[];
  removed: string[];
  /** Which way it went; "other" where nobody can say. */
  direction: 'looser' | 'stricter' | 'other';
  /** What stands beside it in data.yaml, or in the shipped one. */
  comment: string | undefined;
  /** Where it stands after the change, or stood before. */
  file: string;
  line: number;
}

type Source = Pick<LoadedVersion, 'settings' | 'settingsFile' | 'paths'>;

/** In the order of their paths. */
export function settingChanges(before: Source, after: Source): SettingChange[] {
  const [was, is] = [leaves(before.settings), leaves(after.settings)];
  const paths = [...new Set([...was.keys(), ...is.keys()])].filter(
    (key) => canonicalJson(was.get(key)) !== canonicalJson(is.get(key)),
  );
  const schema = readSiteSchema(after.paths) ?? readSiteSchema(before.paths);
  const comments = [after.paths.dir, before.paths.dir, PACKAGED].map((dir) =>
    commentsOf(textAt(join(dir, 'data.yaml'))),
  );
  return paths.sort().map((key) => {
    const path = JSON.parse(key) as string[];
    const [own, fresh] = [was.get(key), is.get(key)];
    const [from, to] = [own ?? inherited(before.settings, path), fresh ?? inherited(after.settings, path)];
    const [a, b] = isMask(path) ? [] : [listOf(from), listOf(to)];
    const source = is.has(key) ? after : before;
    return {
      path: path.join('.'),
      name: nameOf(path),
      before: worded(path, from),
      after: worded(path, to),
      added: a && b ? b.filter((item) => !a.includes(item)) : [],
      removed: a && b ? a.filter((item) => !b.includes(item)) : [],
      direction: directionOf(path, from, to, schema),
      comment: commentOf(path, comments),
      ...{ file: source.settingsFile.file, line: source.settingsFile.lineOf(['settings', ...path]) },
    };
  });
}

/** Every value, by its path. Lists are values; an empty table says nothing. */
function leaves({ merged: _merged, ...settings }: LoadedSettings): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const visit = (value: unknown, path: string[]): void => {
    if (isObject(value) && !isMask(path))
      for (const [name, inner] of Object.entries(value)) visit(inner, [...path, name]);
    else if (value !== undefined) found.set(JSON.stringify(path), value);
  };
  visit(settings, []);
  return found;
}

/** A mask is one value: its parts say nothing without each other. */
const isMask = (path: readonly string[]): boolean => path[0] === 'access' && path[1] === 'masks' && path.length === 3;

const LAYERS = ['backends', 'tools', 'roles'];

/**
 * What holds where an override says nothing: the general value. Undefined where backends differ in it, because a tool has that of
 * its backend, and which that is no policy says.
 */
function inherited(settings: LoadedSettings, [layer, , ...rest]: readonly string[]): unknown {
  if (!LAYERS.includes(layer ?? '')) return undefined;
  const general = valueAt(settings, rest);
  const others = layer === 'tools' ? Object.values(settings.backends).map((own) => valueAt(own, rest)) : [];
  return others.every((each) => each === undefined || canonicalJson(each) === canonicalJson(general))
    ? general
    : undefined;
}

const listOf = (value: unknown): string[] | undefined =>
  Array.isArray(value)
    ? value.map((item) => (typeof item === 'string' ? item : canonicalJson(item)))
    : value === undefined
      ? []
      : undefined;

function worded(path: readonly string[], value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (isMask(path)) return maskWords(value as Mask);
  const unit = /seconds$/.test(path.at(-1) ?? '') ? ' s' : '';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : (listOf(value) ?? []).join(', ');
  return typeof value === 'string' ? value : `${canonicalJson(value)}${unit}`;
}

type Mask = LoadedSettings['access']['masks'][string];

const maskWords = ({ pointers, except_roles: spared, required }: Mask): string =>
  `blanks ${pointers.join(', ')}${spared.length > 0 ? ` except for ${spared.join(', ')}` : ''}${required ? ', and withholds a result without it' : ''}`;

function maskDirection(from: Mask | undefined, to: Mask | undefined): SettingChange['direction'] {
  if (!from || !to) return to ? 'stricter' : 'looser';
  const less = (a: Mask, b: Mask) =>
    a.pointers.some((each) => !b.pointers.includes(each)) ||
    b.except_roles.some((role) => !a.except_roles.includes(role)) ||
    (a.required === true && b.required !== true);
  const [looser, stricter] = [less(from, to), less(to, from)];
  return looser === stricter ? 'other' : looser ? 'looser' : 'stricter';
}

const spaced = (name: string): string => name.replaceAll('_', ' ');

/** Such as "token age of inventory", "binding: network", "tools of role clerk". */
export function nameOf(path: readonly string[]): string {
  const [first = '', second = '', ...rest] = path;
  if (LAYERS.includes(first)) {
    const kind = first === 'backends' ? '' : `${first.slice(0, -1)} `;
    return `${labelOf(rest)} of ${kind}${second}`;
  }
  if (first === 'access') {
    const [name, ...field] = rest;
    if (name === undefined) return spaced(second);
    const words: Record<string, string> = {
      roles: `${field.join(' ')} of role ${name}`,
      scopes: `scopes of tool ${name}`,
      networks: `networks of role ${name}`,
      masks: `mask of ${name}`,
    };
    return words[second] ?? path.slice(1).map(spaced).join(' ');
  }
  return labelOf(path);
}

function labelOf([group = '', ...rest]: readonly string[]): string {
  const last = rest.at(-1);
  const names = ['limit_seconds', 'limit'].includes(last ?? '') ? rest.slice(0, -1) : rest;
  const label = names.map(spaced).join(', ');
  if (group === 'lifetime' || group === 'usage') return label;
  return rest.length === 0 ? spaced(group) : `${spaced(group)}: ${label}`;
}

/** Lists of which a longer one lets more pass, and those of which a longer one lets less. */
const LOOSER_LISTS = [/^access\.roles\..*\.tools$/, /^access\.networks\./, /binding\.places\./];
const STRICTER_LISTS = [/^access\.scopes\./];

function directionOf(
  path: readonly string[],
  from: unknown,
  to: unknown,
  siteSchema: JsonObject | undefined,
): SettingChange['direction'] {
  if (isMask(path)) return maskDirection(from as Mask | undefined, to as Mask | undefined);
  const dotted = path.join('.');
  const [a, b] = [listOf(from), listOf(to)];
  const looser = LOOSER_LISTS.some((pattern) => pattern.test(dotted));
  if (a && b && (looser || STRICTER_LISTS.some((pattern) => pattern.test(dotted)))) {
    // A role without a list of networks may come from anywhere.
    if (dotted.startsWith('access.networks.') && (from === undefined || to === undefined))
      return from === undefined ? 'stricter' : 'looser';
    const [longer, shorter] = [b.some((item) => !covered(item, a)), a.some((item) => !covered(item, b))];
    if (longer === shorter) return 'other';
    return longer === looser ? 'looser' : 'stricter';
  }
  if (from === undefined || to === undefined) return 'other';
  const rest = LAYERS.includes(path[0] ?? '') ? path.slice(2) : path;
  const last = rest.at(-1);
  if (last === 'hide_without_scope') return to === true ? 'stricter' : 'looser';
  const side =
    last === 'limit_seconds' || last === 'limit'
      ? 'smaller'
      : last === 'grade'
        ? 'grade'
        : strictSide(rest, siteSchema);
  if (side === undefined || side === 'limit') return 'other';
  const [down, up] = [tightens(side, to, from), tightens(side, from, to)];
  if (down === up) return 'other';
  return down ? 'stricter' : 'looser';
}

/** Whether a list has an item, or something that is more: every tool, or a wider network. */
function covered(item: string, list: readonly string[]): boolean {
  if (list.includes(item) || list.includes('*')) return true;
  const [address = '', bits] = item.split('/');
  const family = isIP(address);
  if (family === 0 || bits === undefined) return false;
  return list.some((other) => {
    const [base = '', length] = other.split('/');
    if (isIP(base) !== family || length === undefined || Number(length) > Number(bits)) return false;
    const wider = new BlockList();
    wider.addSubnet(base, Number(length), family === 4 ? 'ipv4' : 'ipv6');
    return wider.check(address, family === 4 ? 'ipv4' : 'ipv6');
  });
}

const textAt = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/** Of an override nobody writes the comment of the general value again, so that one is looked for as well. */
function commentOf(path: readonly string[], comments: readonly ReturnType<typeof commentsOf>[]): string | undefined {
  const general = LAYERS.includes(path[0] ?? '') ? path.slice(2) : path;
  for (const commentAt of comments)
    for (const each of general === path ? [path] : [path, general])
      for (let depth = each.length; depth > 0; depth--) {
        const comment = commentAt(['settings', ...each.slice(0, depth)]);
        if (comment !== undefined) return comment;
      }
  return undefined;
}

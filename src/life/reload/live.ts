// The settings of connector.yaml that may change while the process runs. Everything else was built into what is open, and
// needs a restart.
import type { Config } from '../../config/load.ts';
import { type Checked, type Reloadable, UNCHANGED } from '../../core/files/reloadable.ts';
import { canonicalJson } from '../../formats/json.ts';

/** The configuration as it is in force at present. */
export interface Live {
  readonly config: Config;
  /** As it was read by the last check, in force or not: what other parts are about to be checked against. */
  readonly latest: Config;
}

/** Sections, and keys of sections, whose change takes effect at once. */
const SAFE = new Set([
  'allowed_hosts',
  'allowed_origins',
  'admin.allowed_hosts',
  'admin.token',
  'admin.tokens',
  'limits.failures_per_minute',
  'limits.shutdown_seconds',
  'shutdown.delay_seconds',
]);
/** Sections of which some keys are safe, so that each key is looked at by itself. */
const OPENED = new Set(['admin', 'limits', 'shutdown']);

type Table = Record<string, unknown>;

/**
 * Holds the configuration, and makes it a part that can be read again. `reread` reads the file, and throws an
 * OperatorError when it cannot be used; without it there is no file, and the configuration stays.
 */
export function createLive(config: Config, reread: (() => Config) | undefined): { live: Live; reloadable: Reloadable } {
  let present = config;
  let latest = config;
  const live: Live = {
    get config() {
      return present;
    },
    get latest() {
      return latest;
    },
  };
  const check = (): Checked => {
    if (!reread) return UNCHANGED;
    const fresh = reread();
    latest = fresh;
    const changed = changedKeys(present, fresh);
    const restart = changed.filter((key) => !SAFE.has(key));
    const safe = changed.filter((key) => SAFE.has(key));
    const apply = () => {
      present = withKeys(present, fresh, safe);
    };
    if (restart.length > 0) {
      const atOnce = safe.length > 0 && { atOnce: safe.join(', ') };
      return { result: 'needs_restart', detail: restart.join(', '), ...atOnce, apply };
    }
    return safe.length > 0 ? { result: 'changed', detail: safe.join(', '), apply } : UNCHANGED;
  };
  return { live, reloadable: { part: 'connector.yaml', check } };
}

/** The sections in which two configurations differ; of some sections the keys. */
function changedKeys(before: Config, after: Config): string[] {
  const [a, b] = [before as unknown as Table, after as unknown as Table];
  return keysOf(a, b).flatMap((section) => {
    if (section === 'sources') return [];
    if (same(a[section], b[section])) return [];
    if (!OPENED.has(section) || !isTable(a[section]) || !isTable(b[section])) return [section];
    const [inA, inB] = [a[section] as Table, b[section] as Table];
    return keysOf(inA, inB).flatMap((key) => (same(inA[key], inB[key]) ? [] : [`${section}.${key}`]));
  });
}

function withKeys(before: Config, after: Config, keys: readonly string[]): Config {
  const [from, to] = [after as unknown as Table, { ...before } as unknown as Table];
  for (const path of keys) {
    const [section = '', key] = path.split('.');
    to[section] =
      key === undefined ? from[section] : { ...(to[section] as Table), [key]: (from[section] as Table)[key] };
  }
  return Object.freeze(to) as unknown as Config;
}

const keysOf = (a: object, b: object): string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
const isTable = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
const same = (a: unknown, b: unknown): boolean => textOf(a) === textOf(b);
const textOf = (value: unknown): string => (value === undefined ? '' : canonicalJson(value as never));

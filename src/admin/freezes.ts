// Freezing and thawing while the connector runs, for the admin listener. A freeze is a fact that the policy sees, so
// whoever freezes is told when the policy that decides does not look at it.
import type { Act } from '../audit/events/act.ts';
import type { AuditEvents } from '../audit/events/events.ts';
import { WEEKDAYS } from '../core/zones.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import type { DecisionInput } from '../decision/schema.ts';
import type { LoadedSettings } from '../decision/settings.ts';
import { type FreezeRow, type FreezeSelector, factOf, freezeText, isInForce } from '../freeze/freeze.ts';
import type { ControlPort } from '../session/control.ts';
import type { FreezeList, Frozen } from './api-schema.ts';

export interface FreezesOptions {
  control: ControlPort;
  events: Pick<AuditEvents, 'frozen'>;
  /** The policy that decides at present. */
  policy: () => { revision: string; settings: LoadedSettings; evaluator: Pick<Evaluator, 'evaluate'> };
  tools: readonly ProbedTool[];
}

interface ProbedTool {
  name: string;
  backend: string;
  effect: DecisionInput['tool']['effect'];
}

/** What the admin listener does with freezes. Every method rejects when the store does not answer. */
export interface FreezeActs {
  /** `until`: milliseconds since 1970, null for one that must be thawed. Undefined when that time is over already. */
  freeze(selector: FreezeSelector, until: number | null, act: Act): Promise<Frozen | undefined>;
  /** Answers false when nothing with that selector is frozen. */
  thaw(selector: FreezeSelector, act: Act): Promise<boolean>;
  list(): Promise<FreezeList>;
}

export function createFreezes({ control, events, policy, tools }: FreezesOptions): FreezeActs {
  return {
    async freeze(selector, until, { operator, reason, ip }) {
      const { now } = await control.read(0);
      if (until !== null && until <= now) return undefined;
      const row = { selector, active: true, operator, reason, until };
      await control.freeze(row);
      const { revision, settings, evaluator } = policy();
      const honours = honoursFreeze({ ...row, number: now }, evaluator, settings, tools, now);
      events.frozen({ ...row, honours }, { operator, reason, ip });
      const hint = unknownName(selector, tools, settings);
      return {
        ...{ frozen: freezeText(selector), until: isoOf(until), policy: { revision, honours } },
        ...(hint !== undefined && { hint }),
      };
    },
    async thaw(selector, { operator, reason, ip }) {
      const { freezes, now } = await control.read(0);
      const row = freezes.get(freezeText(selector));
      if (!row || !isInForce(row, now)) return false;
      const thawed = { selector, active: false, operator, reason, until: null };
      await control.freeze(thawed);
      events.frozen(thawed, { operator, reason, ip });
      return true;
    },
    async list() {
      const { freezes, now } = await control.read(0);
      const rows = [...freezes.values()].filter((row) => isInForce(row, now)).sort((a, b) => a.number - b.number);
      return {
        version: 1,
        freezes: rows.map(({ selector, operator, reason, number, until }) => ({
          selector: selector as FreezeList['freezes'][number]['selector'],
          ...{ operator, reason, since: new Date(number).toISOString(), until: isoOf(until) },
        })),
      };
    },
  };
}

/** A mistyped name freezes nothing; it is no error, because another replica may have it. */
function unknownName(
  selector: FreezeSelector,
  tools: readonly ProbedTool[],
  { access, roles = {} }: LoadedSettings,
): string | undefined {
  const missing = (what: string, names: Iterable<string>) =>
    `no ${what} has that name here; there are ${[...new Set(names)].slice(0, 50).join(', ')}`;
  const [names, backends] = [tools.map(({ name }) => name), tools.map(({ backend }) => backend)];
  const known = [...Object.keys(access.roles), ...Object.keys(roles)];
  if ('tool' in selector && !names.includes(selector.tool)) return missing('tool', names);
  if ('backend' in selector && !backends.includes(selector.backend)) return missing('backend', backends);
  if ('role' in selector && !known.includes(selector.role)) return missing('role', known);
  return undefined;
}

const isoOf = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString());

/** Most calls that are made up to find out. */
const PROBES = 300;

/**
 * Whether the policy denies by a freeze: `yes` when it denies every made-up call that it would let pass without it, `no`
 * when it lets one pass, `unknown` when it lets none pass anyway (a rule of the site may want what cannot be made up).
 */
export function honoursFreeze(
  row: FreezeRow,
  evaluator: Pick<Evaluator, 'evaluate'>,
  settings: LoadedSettings,
  tools: readonly ProbedTool[],
  now: number,
): Frozen['policy']['honours'] {
  let left = PROBES;
  let denied = 0;
  for (const input of probes(row.selector, settings, tools, now)) {
    if (left-- === 0) break;
    const before = evaluator.evaluate(input);
    if (!before.ok || before.decision.outcome === 'deny') continue;
    const after = evaluator.evaluate({ ...input, freeze: [factOf(row)] });
    if (!after.ok) continue;
    if (after.decision.outcome !== 'deny') return 'no';
    denied += 1;
  }
  return denied > 0 ? 'yes' : 'unknown';
}

/** Calls that a freeze means, as harmless as calls can be: the first of a client that proves a key. */
function* probes(
  selector: FreezeSelector,
  settings: LoadedSettings,
  tools: readonly ProbedTool[],
  now: number,
): Generator<DecisionInput> {
  const date = new Date(now);
  const name = <K extends string>(key: K, otherwise: string): string =>
    key in selector ? String((selector as Record<string, unknown>)[key]) : otherwise;
  const roles = 'role' in selector ? [selector.role] : Object.keys(settings.access.roles);
  const place = { ip: '127.0.0.1', network: '127.0.0.0/24' };
  for (const tool of tools) {
    if ('tool' in selector && selector.tool !== tool.name) continue;
    if ('backend' in selector && selector.backend !== tool.backend) continue;
    for (const role of roles)
      yield {
        version: 1,
        time: {
          ...{ rfc3339: date.toISOString(), unix_ms: now },
          ...{ weekday: WEEKDAYS[date.getUTCDay()] ?? 'monday', hour: date.getUTCHours() },
        },
        client: {
          ...{ id: name('client', 'freeze-check'), subject: name('subject', 'freeze-check') },
          ...{ issuer: name('issuer', 'freeze-check'), roles: [role], user_agent: '' },
          ...{ scopes: [...new Set(Object.values(settings.access.scopes).flat())], ...place },
          auth: { method: 'dpop', age_seconds: 0, expires_in_seconds: 600, key: 'freeze-check' },
        },
        tool: { ...tool, arguments: {} },
        session: null,
        usage: {
          ...{ calls_1m: 1, calls_1h: 1, denials_1h: 0, in_flight: 1, seconds_since_last_call: null },
          ...{ networks: [{ network: place.network, calls: 1, last_seen_seconds: 0 }], forgotten: false },
        },
        replay: { source: 'dpop_jti', seen: false, first_seen_seconds: null, same_network: null, history: null },
      };
  }
}

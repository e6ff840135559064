// A freeze: what nobody may do for a while, by the word of an operator. It is a fact that policies see, so that they
// keep the last word. Rows are shared by all replicas, as revocations are; a thaw is a row as well, because a replica that
// was away would else bring the freeze back.

/** What is frozen. Two issuers may give the same client id or subject: with `issuer` only that of this issuer is meant. */
export type FreezeSelector =
  | { all: true }
  | { backend: string }
  | { tool: string }
  | { role: string }
  | { client: string; issuer?: string | undefined }
  | { subject: string; issuer?: string | undefined };

/** Who froze or thawed it, why and when. Times are in milliseconds since 1970, by the clock that the replicas share. */
export interface FreezeRow {
  /** Of two rows of one selector the higher number holds. It is given by the store. */
  readonly number: number;
  /** False: it was thawed. */
  readonly active: boolean;
  readonly selector: FreezeSelector;
  readonly operator: string;
  readonly reason: string;
  /** When it ends by itself; null for one that must be thawed. */
  readonly until: number | null;
}

/** The newest row of each selector, by the text that `freezeText` gives. */
export type Freezes = ReadonlyMap<string, FreezeRow>;

/** Most freezes in force; that of everything is always taken. */
export const MOST_FREEZES = 1000;
/** Most thaws, and freezes that have ended, of which the newest are kept. */
export const MOST_ENDED = 4000;
/** How long the row of a thaw is kept: longer than a replica is away. */
export const FREEZE_LIFE_MS = 400 * 24 * 3_600_000;
/** A freeze that has ended by itself has ended everywhere, whatever a clock says by which it may differ. */
const ENDED_MS = 24 * 3_600_000;

/** There are as many freezes as may be. */
export class TooManyFreezes extends Error {
  override readonly name = 'TooManyFreezes';
  constructor() {
    super(`there are ${MOST_FREEZES} freezes already; thaw some, or freeze everything`);
  }
}

/** Whether a row says nothing any more that a replica could still need to know. */
const isOver = ({ active, number, until }: FreezeRow, now: number): boolean =>
  active ? until !== null && until < now - ENDED_MS : number < now - FREEZE_LIFE_MS;

/** The selectors whose rows are dropped: those that are over, and of those not in force the oldest beyond what is kept. */
export function outdated(freezes: Freezes, now: number): string[] {
  const rows = [...freezes];
  const over = rows.filter(([, row]) => isOver(row, now));
  const ended = rows.filter(([, row]) => !isOver(row, now) && !isInForce(row, now));
  const excess = ended.length - MOST_ENDED;
  const oldest = excess > 0 ? ended.sort(([, a], [, b]) => a.number - b.number).slice(0, excess) : [];
  return [...over, ...oldest].map(([text]) => text);
}

/** Throws TooManyFreezes where a row would be one in force too many. */
export function refuseTooMany(freezes: Freezes, row: Omit<FreezeRow, 'number'>, now: number): void {
  if (!row.active || 'all' in row.selector) return;
  const text = freezeText(row.selector);
  const others = [...freezes].filter(([each, known]) => each !== text && isInForce(known, now));
  if (others.length >= MOST_FREEZES) throw new TooManyFreezes();
}

/** Spells a selector as one text. */
export function freezeText(selector: FreezeSelector): string {
  if ('all' in selector) return 'all';
  const [kind, name] = Object.entries(selector).find(([key]) => key !== 'issuer') as [string, string];
  const issuer = 'issuer' in selector ? selector.issuer : undefined;
  return issuer === undefined ? `${kind}:${name}` : `${kind}-of:${JSON.stringify([issuer, name])}`;
}

/** Whether a row holds at this time. */
export const isInForce = ({ active, until }: FreezeRow, now: number): boolean =>
  active && (until === null || until > now);

/** A freeze as policies see it. */
export interface FreezeFact {
  scope: 'all' | 'backend' | 'tool' | 'role' | 'client' | 'subject';
  /** What is frozen; "" for all. */
  name: string;
  operator: string;
  reason: string;
  /** RFC 3339; null for one that must be thawed. */
  until: string | null;
}

/** Whom a freeze may mean. */
export interface FrozenWhom {
  client: { id: string; subject: string; issuer: string; roles: readonly string[] };
  /** The tool of a call; undefined for a list of tools, which is told of every freeze of a tool or a backend. */
  tool?: { name: string; backend: string } | undefined;
}

/** The freezes that mean this client and tool, the oldest first; undefined where there are none, as nearly always. */
export function freezesOf(freezes: Freezes, now: number, whom: FrozenWhom): FreezeFact[] | undefined {
  if (freezes.size === 0) return undefined;
  const found = [...freezes.values()]
    .filter((row) => isInForce(row, now) && means(row.selector, whom))
    .sort((a, b) => a.number - b.number)
    .map(factOf);
  return found.length === 0 ? undefined : found;
}

function means(selector: FreezeSelector, { client, tool }: FrozenWhom): boolean {
  if ('all' in selector) return true;
  if ('backend' in selector) return tool === undefined || tool.backend === selector.backend;
  if ('tool' in selector) return tool === undefined || tool.name === selector.tool;
  if ('role' in selector) return client.roles.includes(selector.role);
  if (selector.issuer !== undefined && selector.issuer !== client.issuer) return false;
  return 'client' in selector ? selector.client === client.id : selector.subject === client.subject;
}

export function factOf({ selector, operator, reason, until }: FreezeRow): FreezeFact {
  const [scope, name] = Object.entries(selector).find(([key]) => key !== 'issuer') as [
    FreezeFact['scope'],
    string | true,
  ];
  return {
    scope,
    name: name === true ? '' : name,
    operator,
    reason,
    until: until === null ? null : new Date(until).toISOString(),
  };
}

/**
 * Reads a row as the store and the state folder have it, under the text of its selector. Throws for one that makes no sense: whoever cannot read what is
 * frozen lets nothing pass.
 */
export function readFreeze(text: string, number: number, json: string): FreezeRow {
  const row = JSON.parse(json) as Partial<FreezeRow>;
  const { selector, active, operator, reason, until } = row;
  const known =
    Number.isSafeInteger(number) &&
    isSelector(selector) &&
    freezeText(selector) === text &&
    typeof active === 'boolean' &&
    typeof operator === 'string' &&
    typeof reason === 'string' &&
    (until === null || Number.isSafeInteger(until));
  if (!known) throw new Error('a freeze in the store cannot be read');
  return { number, active, selector, operator, reason, until: until as number | null };
}

const KINDS = ['backend', 'tool', 'role', 'client', 'subject'];

/** Exactly one kind, with a name. One of a later release that is not known here freezes nobody, and so is refused. */
function isSelector(value: unknown): value is FreezeSelector {
  if (typeof value !== 'object' || value === null) return false;
  const { issuer, ...named } = value as Record<string, unknown>;
  const [[kind = '', name] = []] = Object.entries(named);
  if (Object.keys(named).length !== 1) return false;
  if (issuer !== undefined && (typeof issuer !== 'string' || !['client', 'subject'].includes(kind))) return false;
  return kind === 'all' ? name === true : KINDS.includes(kind) && typeof name === 'string';
}

// Which sessions there are, for operators: whose they are, how old, how much used, and when they rotate or end. A page is
// made by looking through all of them, so that its order is the same on every replica.
import type { Settings } from '../decision/settings.ts';
import type { FactsPort } from '../facts/port.ts';
import type { SessionRecord } from '../session/record.ts';
import type { SessionStore } from '../session/store.ts';
import type { ListedSession, SessionPage } from './api-schema.ts';
import type { SessionQuery } from './contract.ts';

export interface ListingOptions {
  store: Pick<SessionStore, 'records'>;
  facts: Pick<FactsPort, 'sessionUse'>;
  /** The policy that decides at present, which says when sessions rotate and end. */
  policy: () => { settings: Settings; endsAt: (record: SessionRecord) => number };
  now: () => number;
}

const wholeSeconds = (ms: number): number => Math.max(0, Math.floor(ms / 1000));

/** Answers a page. Rejects when the store does not answer. */
export function createSessionListing(options: ListingOptions): (query: SessionQuery) => Promise<SessionPage> {
  const { store, now } = options;
  return async ({ limit, after = '', backend, client, subject }) => {
    const found: SessionRecord[] = [];
    for await (const record of store.records()) {
      const { bound } = record;
      if (backend !== undefined && record.backend !== backend) continue;
      if (client !== undefined && bound.client_id !== client) continue;
      if (subject !== undefined && bound.subject !== subject) continue;
      found.push(record);
    }
    found.sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
    const left = found.filter(({ fingerprint }) => fingerprint > after);
    const page = left.slice(0, limit);
    return {
      version: 1,
      total: found.length,
      sessions: await Promise.all(page.map((record) => describe(record, options, now()))),
      next: left.length > page.length ? (page.at(-1)?.fingerprint ?? null) : null,
    };
  };
}

async function describe(record: SessionRecord, options: ListingOptions, now: number): Promise<ListedSession> {
  const { bound } = record;
  const use = await options.facts.sessionUse(record);
  const same = use?.id === record.id ? use : undefined;
  const { settings, endsAt } = options.policy();
  const ends = endsAt(record);
  const rotates = rotatesAt(record, settings);
  return {
    session: record.fingerprint,
    backend: record.backend,
    client: bound.client_id,
    subject: bound.subject,
    issuer: record.issuer,
    generation: record.generation,
    age_seconds: wholeSeconds(now - record.createdAt),
    token_age_seconds: wholeSeconds(now - record.issuedAt),
    // The login is the first use, as it is for the policy.
    idle_seconds: wholeSeconds(now - Math.max(same?.lastUsed ?? 0, record.issuedAt)),
    token_uses: same?.uses ?? 1,
    places: { ipv4: bound.ipv4, ipv6: bound.ipv6, networks: bound.networks ?? [] },
    key_bound: bound.key !== null,
    rotates_in_seconds: rotates === undefined ? null : wholeSeconds(rotates - now),
    ends_in_seconds: Number.isFinite(ends) ? wholeSeconds(ends - now) : null,
  };
}

/** When the age of the backend token rotates it. Settings of single tools and of roles are left out. */
function rotatesAt({ backend, issuedAt }: SessionRecord, { lifetime, backends }: Settings): number | undefined {
  const own = backends[backend]?.lifetime?.token_age;
  const { grade, limit_seconds: seconds } = { ...lifetime.token_age, ...own } as Settings['lifetime']['token_age'];
  return grade === 'rotate' ? issuedAt + seconds * 1000 : undefined;
}

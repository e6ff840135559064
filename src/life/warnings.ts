// What an operator should look at although calls go on: for `sallyport status` and /readyz?verbose.
import type { BackendHealth } from '../backend/http/http.ts';
import { SOON_DAYS } from '../config/certificates.ts';
import { type FreezeRow, freezeText } from '../freeze/freeze.ts';
import type { Ending } from './endings.ts';
import type { Reloads } from './reload/reloads.ts';
import type { Replicas } from './replicas.ts';

/** What cannot be used at present and does no harm yet, or will soon. */
export interface Warning {
  what: string;
  detail: string;
}

/** How the keys of the issuer fare: since when they are known, and why they could not be fetched last. */
export interface IssuerKeys {
  readonly ageMs: number | undefined;
  readonly failure: string | undefined;
}

export interface Troubles {
  /** By what they are about, why the parts that go on with what they had cannot use their files. */
  problems: Readonly<Record<string, () => string | undefined>>;
  store: { readonly problem: string | undefined; frozen(): readonly FreezeRow[] };
  reloads: Pick<Reloads, 'last' | 'waiting'>;
  issuerKeys: () => IssuerKeys | undefined;
  health: () => Iterable<readonly [string, BackendHealth]>;
  logins: { failing(): ReadonlyMap<string, string> };
  endings: { present(): readonly Ending[] };
  alerts: { states(): readonly { name: string; waiting: number; problem: string | undefined }[] };
  /** `instead`: who has put another policy in the place of that of the folder, and why. */
  policy: { verdict: 'compared' | 'signed' | 'unverified'; instead: string | undefined };
  replicas: Pick<Replicas, 'all' | 'differences'>;
}

const DAY_MS = 86_400_000;

export function warningsOf(of: Troubles): Warning[] {
  const told = (what: string, problem: string | undefined): Warning[] =>
    problem === undefined ? [] : [{ what, detail: problem }];
  const { problem } = of.store;
  return [
    ...Object.entries(of.problems).flatMap(([what, problem]) => {
      const why = problem();
      return told(what, why && `${why}; the last good file stays in force`);
    }),
    ...told('store', problem),
    ...of.store.frozen().map((row) => ({ what: `freeze ${freezeText(row.selector)}`, detail: freezeDetail(row) })),
    ...reloadWarnings(of.reloads),
    ...told('issuer', issuerProblem(of.issuerKeys())),
    ...backendWarnings(of),
    ...endingWarnings(of.endings.present(), Date.now()),
    ...(of.policy.verdict === 'unverified'
      ? [{ what: 'policy', detail: 'unverified: its verdict stands beside it and is not signed' }]
      : []),
    ...told('policy', of.policy.instead),
    ...receiverWarnings(of.alerts.states()),
    ...differenceWarnings(of.replicas),
  ];
}

const freezeDetail = ({ operator, reason, until }: FreezeRow): string =>
  `by ${operator}${until === null ? '' : ` until ${new Date(until).toISOString()}`}: ${reason}`;

function reloadWarnings({ last, waiting }: Troubles['reloads']): Warning[] {
  const { ok = true, refused = [] } = last() ?? {};
  const [fails, waits] = [true, false].map((kind) => [...waiting()].filter(([, { fails }]) => fails === kind));
  return [
    ...(ok
      ? []
      : [
          {
            what: 'reload',
            detail: `refused for ${refused.join(', ')}; nothing was changed: mend it and reload again`,
          },
        ]),
    ...(fails ?? []).map(([part, { detail }]) => ({ what: 'restart', detail: `would fail, ${part}: ${detail}` })),
    ...(waits?.length
      ? [{ what: 'restart', detail: `changes wait for one: ${waits.map(([part]) => part).join(', ')}` }]
      : []),
  ];
}

function issuerProblem(keys: IssuerKeys | undefined): string | undefined {
  if (keys?.failure === undefined) return undefined;
  const age = keys.ageMs === undefined ? 'none are known' : `those of ${Math.floor(keys.ageMs / 1000)} s ago go on`;
  return `its keys cannot be fetched (${keys.failure}); ${age}`;
}

function backendWarnings({ health, logins }: Pick<Troubles, 'health' | 'logins'>): Warning[] {
  const open = [...health()].filter(([, { circuit }]) => circuit === 'open');
  return [
    ...open.map(([name]) => ({
      what: `backend ${name}`,
      detail: 'it fails again and again, so nothing is sent for a while',
    })),
    ...[...logins.failing()].map(([name, detail]) => ({
      what: `backend ${name}`,
      detail: `it did not take the last login: ${detail}`,
    })),
  ];
}

function receiverWarnings(states: ReturnType<Troubles['alerts']['states']>): Warning[] {
  if (states.length === 0)
    return [{ what: 'alerts', detail: 'they reach nobody: there is no receiver under "alerts" in connector.yaml' }];
  return states.flatMap(({ name, waiting, problem }) =>
    problem === undefined
      ? []
      : [{ what: `alert receiver ${name}`, detail: `it does not take alerts (${problem}); ${waiting} wait` }],
  );
}

/** What has ended, or ends soon. */
export const endingWarnings = (endings: readonly Ending[], now: number): Warning[] =>
  endings
    .filter(({ at }) => at - now < SOON_DAYS * DAY_MS)
    .map(({ what, at }) => ({
      what,
      detail: `${at <= now ? 'has ended' : 'ends'} on ${new Date(at).toISOString().slice(0, 10)}`,
    }));

/** A replica as people tell them apart: its machine, and enough of its id. */
function differenceWarnings({ all, differences }: Troubles['replicas']): Warning[] {
  const nameOf = (id: string) => `${all.find((replica) => replica.id === id)?.host ?? ''} ${id.slice(0, 8)}`.trim();
  return differences.map(({ what, values }) => ({
    what: `replicas: ${what}`,
    detail: `differs: ${Object.entries(values)
      .map(([value, ids]) => `${value} on ${ids.map(nameOf).join(' and ')}`)
      .join(', ')}`,
  }));
}

// The real pipeline with a real ledger and real session handling, in memory, on a clock that stands still until it is moved; only
// the legacy side is played.
import type { AuditLog } from '../audit/log/log.ts';
import { createMasks } from '../audit/masks.ts';
import type { BackendPort } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import { Secret } from '../core/secret.ts';
import type { Policy } from '../decision/open.ts';
import type { DecisionInput, Effect, PolicyDecision } from '../decision/schema.ts';
import { createHeldBack } from '../enforcement/held-back.ts';
import { createPipeline, type Pipeline } from '../enforcement/pipeline.ts';
import { freezesOf } from '../freeze/freeze.ts';
import { createFingerprint, createSealer } from '../keyring/sealing.ts';
import type { SessionManager } from '../session/contract.ts';
import { createSessionManager } from '../session/manager.ts';
import type { OpenEntry } from '../session/record.ts';
import { memoryStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { willingBackend } from './backend.ts';

/** One decision that was made: what the policy was given, and what it said. */
export interface Made {
  input: DecisionInput;
  /** Undefined where the policy gave none that could be used. */
  decision: PolicyDecision | undefined;
}

/** What is lost with a process. */
export interface Parts {
  pipeline: Pipeline;
  store: Store;
  sessions: SessionManager;
  backends: ReadonlyMap<string, BackendPort>;
}

export interface Scene {
  readonly parts: Parts;
  /** Begins anew with nothing in memory, as a process does. */
  restart(): void;
  /** The decisions since it was asked last. */
  made(): Made[];
  now(): number;
  advance(ms: number): void;
}

/** A key for all: nothing here is secret, and the same sequence gives the same inputs each time. */
const KEY = new Secret(Buffer.alloc(32, 7));
const KEYS = [{ id: 'rehearsal', secret: KEY }];

type Tools = Readonly<Record<string, { backend: string; effect: Effect }>>;

export function openScene(policy: Policy, tools: Tools, start: number): Scene {
  let now = start;
  const clock = { now: () => now };
  const asked: Made[] = [];
  const evaluator: Policy['evaluator'] = {
    ...policy.evaluator,
    evaluate(input, text, careful) {
      const evaluation = policy.evaluator.evaluate(input, text, careful);
      asked.push({ input, decision: evaluation.ok ? evaluation.decision : undefined });
      return evaluation;
    },
  };
  let parts = openParts({ ...policy, evaluator }, tools, clock);
  return {
    get parts() {
      return parts;
    },
    restart() {
      parts = openParts({ ...policy, evaluator }, tools, clock);
    },
    made: () => asked.splice(0),
    now: () => now,
    advance(ms) {
      now += ms;
    },
  };
}

function openParts(policy: Policy, tools: Tools, clock: Clock): Parts {
  const store = memoryStore({ clock, clients: 1000, sessions: 10_000, ttlMs: 7 * 86_400_000 });
  const backends = new Map(Object.values(tools).map(({ backend }) => [backend, willingBackend(backend)]));
  const fingerprint = createFingerprint(KEY);
  const sessions = createSessionManager({
    ...{
      store: store.sessions,
      limits: store.limits,
      quotas: store.quotas,
      control: store.control,
      backends,
      fingerprint,
      clock,
    },
    ...{ sealer: createSealer(() => KEYS, 'session'), entries: entriesInMemory(), events: async () => {} },
    endsAt: policy.endsAt,
  });
  const pipeline = createPipeline({
    ...{
      backends,
      facts: store.facts,
      evaluator: policy.evaluator,
      policy,
      audit: silentLog(),
      sessions,
      clock,
      fingerprint,
    },
    tools: new Map(
      Object.entries(tools).map(([name, { backend, effect }]) => [
        name,
        {
          ...{ name, backend, effect, repeatable: effect === 'read', audit: [], validateResult: undefined },
          normalise: (given) => ({ ok: true, arguments: given }),
        },
      ]),
    ),
    frozen: async (client, tool) => {
      const { freezes, now: shared } = await store.control.read(0);
      return freezesOf(freezes, shared, { client, tool });
    },
    heldBack: createHeldBack(clock.now),
    masks: createMasks([], { of: () => 'pseudonym' }),
    culprit: async () => undefined,
  });
  return { pipeline, store, sessions, backends };
}

/** What is rehearsed is on no record. */
const silentLog = (): AuditLog => ({
  decided: async () => {},
  finished: async () => {},
  alert: async () => {},
  event: async () => {},
  identify: () => {},
  failure: undefined,
  backlog: 0,
  flushed: async () => {},
  close: async () => {},
});

function entriesInMemory() {
  const entries = new Map<string, OpenEntry>();
  const of = ({ session, login }: Pick<OpenEntry, 'session' | 'login'>) => `${session} ${login}`;
  return {
    put: (entry: OpenEntry) => void entries.set(of(entry), entry),
    remove: (entry: Pick<OpenEntry, 'session' | 'login'>) => void entries.delete(of(entry)),
    has: (entry: Pick<OpenEntry, 'session' | 'login'>) => entries.has(of(entry)),
    all: () => [...entries.values()],
  };
}

// Plays a sequence: calls one after the other through the real pipeline, with time between them.
import { createHash } from 'node:crypto';
import { Cancellation } from '../core/cancellation.ts';
import { OperatorError } from '../core/errors.ts';
import type { Policy } from '../decision/open.ts';
import type { DecisionInput, PolicyDecision } from '../decision/schema.ts';
import type { Reply } from '../enforcement/call.ts';
import type { Json } from '../formats/json.ts';
import type { FreezeSelector } from '../freeze/freeze.ts';
import { parseAddress } from '../identity/address.ts';
import { type Client, createClient } from '../identity/client.ts';
import type { SessionRecord } from '../session/record.ts';
import { openScene, type Scene } from './scene.ts';
import { durationMs, type Expected, type WrittenCall, type WrittenClient, type WrittenSequence } from './written.ts';

/** One call that was played. */
export interface Played {
  /** Index of the step. */
  step: number;
  /** Which of its `times`, from 1. */
  time: number;
  input: DecisionInput;
  decision: PolicyDecision | undefined;
  /** Of the call as a whole: what the policy decided, or that the connector refused what it had let pass. */
  outcome: Expected['outcome'];
  reasons: string[];
  session: NonNullable<Expected['session']>;
  expect: Expected | undefined;
}

const START = Date.parse('2026-11-23T09:00:00Z');
const PREFIXES = { ipv4: 24, ipv6: 64 };

/** A step that cannot be played. */
export class StepProblem extends OperatorError {
  readonly step: number;
  constructor(step: number, message: string) {
    super(message);
    this.step = step;
  }
}

/** Rejects with a StepProblem for a step that names a client or tool that there is not. */
export async function play(sequence: WrittenSequence, policy: Policy): Promise<Played[]> {
  const { clients = {}, tools = {}, steps } = sequence;
  const scene = openScene(policy, tools, sequence.start === undefined ? START : Date.parse(sequence.start));
  const cast = new Cast(scene, clients, tools);
  const played: Played[] = [];
  for (const [step, written] of steps.entries()) {
    scene.advance(durationMs(written.after));
    // What ends by time has ended by then.
    await scene.parts.sessions.sweep();
    try {
      if ('call' in written)
        for (let time = 1; time <= (written.times ?? 1); time++) {
          if (time > 1) scene.advance(durationMs(written.every));
          played.push({ step, time, expect: written.expect, ...(await cast.call(written)) });
        }
      else if ('freeze' in written) await freeze(scene, written.freeze);
      else if ('revoke' in written) await cast.revoke(written.revoke);
      else if ('restart' in written) cast.restart();
    } catch (thrown) {
      throw thrown instanceof OperatorError
        ? new StepProblem(step, `${sequence.name}, step ${step + 1}: ${thrown.message}`)
        : thrown;
    }
  }
  await scene.parts.sessions.settled();
  return played;
}

type Freeze = Extract<WrittenSequence['steps'][number], { freeze: object }>['freeze'];

async function freeze(scene: Scene, { reason, thaw, ...selector }: Freeze): Promise<void> {
  await scene.parts.store.control.freeze({
    ...{ active: thaw !== true, selector: selector as FreezeSelector, operator: 'rehearsal', reason, until: null },
  });
}

function known<T>(kind: string, name: string, all: Readonly<Record<string, T>>): T {
  if (Object.hasOwn(all, name)) return all[name] as T;
  throw new OperatorError(`no ${kind} "${name}"; there are ${Object.keys(all).join(', ') || 'none'}`);
}

/** A handle that was minted before a restart is of an epoch that is over. */
const EARLIER = 'earlier';

/** The clients with their conversations. */
class Cast {
  readonly #scene: Scene;
  readonly #clients: Readonly<Record<string, WrittenClient>>;
  readonly #tools: NonNullable<WrittenSequence['tools']>;
  /** Handles, and whether they were opened in this process. */
  readonly #handles = new Map<string, boolean>();
  readonly #ids = new Map<string, number | string>();
  #next = 1;

  constructor(
    scene: Scene,
    clients: Readonly<Record<string, WrittenClient>>,
    tools: NonNullable<WrittenSequence['tools']>,
  ) {
    this.#scene = scene;
    this.#clients = clients;
    this.#tools = tools;
  }

  async call(written: WrittenCall): Promise<Omit<Played, 'step' | 'time' | 'expect'>> {
    const { backend } = known('tool', written.call, this.#tools);
    const name = written.as ?? Object.keys(this.#clients)[0] ?? '';
    const { from } = known('client', name, this.#clients);
    const client = this.#client(name, written.key);
    const address = parseAddress(written.from ?? from, PREFIXES);
    if (!address) throw new OperatorError(`"${written.from}" is no address`);
    const { store, sessions, pipeline } = this.#scene.parts;
    const handle = written.handle === false ? null : `${name} ${written.handle ?? 'main'}`;
    if (handle !== null) {
      const opened = this.#handles.get(handle);
      if (opened === undefined) await store.facts.openHandle(client.ref, handle);
      else if (!opened) await store.facts.handleState(client.ref, handle, EARLIER);
      this.#handles.set(handle, true);
    }
    const rpcId = this.#idOf(`${name} ${handle}`, written);
    const key = { backend, owner: client.ref };
    const before = (await sessions.look(key)).record;
    const reply = await pipeline({
      scope: { requestId: 'rehearsal', client, ...address, userAgent: 'rehearsal', handle },
      ...{ rpcId, name: written.call, arguments: (written.arguments ?? {}) as Record<string, Json> },
      ...{ signal: new Cancellation(), progress: () => {} },
    });
    // The end of the call is counted behind the reply.
    await new Promise((resolve) => setImmediate(resolve));
    const after = (await sessions.look(key)).record;
    const last = this.#scene.made().at(-1);
    if (!last)
      throw new OperatorError(
        `refused before any decision: ${'reasons' in reply ? reply.reasons.join(', ') : reply.kind}`,
      );
    return { ...last, ...outcomeOf(reply, last.decision), session: sessionWord(before, after) };
  }

  async revoke(name: string): Promise<void> {
    known('client', name, this.#clients);
    const client = this.#client(name, undefined);
    const { backends, sessions } = this.#scene.parts;
    for (const backend of backends.values()) await sessions.revoke(backend, client.ref, 'rehearsal');
  }

  restart(): void {
    this.#scene.restart();
    for (const handle of this.#handles.keys()) this.#handles.set(handle, false);
  }

  #idOf(conversation: string, { id, copy }: WrittenCall): number | string {
    const last = this.#ids.get(conversation);
    const chosen = id ?? (copy && last !== undefined ? last : this.#next++);
    this.#ids.set(conversation, chosen);
    return chosen;
  }

  #client(name: string, key: WrittenCall['key']): Client {
    const written = known('client', name, this.#clients);
    const proven = key === undefined ? written.key : key === false ? undefined : key;
    const now = this.#scene.now();
    return createClient({
      ...{ id: name, subject: written.subject ?? name, issuer: 'urn:sallyport:rehearsal' },
      ...{ roles: written.roles, scopes: written.scopes },
      ...(written.claims && { policyClaims: written.claims }),
      auth: {
        method: proven === undefined ? 'jwt' : 'dpop',
        ...{ issuedAt: now - 60_000, expiresAt: now + 600_000 },
        key: proven === undefined ? null : createHash('sha256').update(proven).digest('base64url'),
      },
    });
  }
}

type Session = Pick<SessionRecord, 'id' | 'login'> | undefined;

function sessionWord(before: Session, after: Session): Played['session'] {
  if (!after) return before ? 'ended' : 'none';
  if (!before) return 'opened';
  return after.id === before.id && after.login === before.login ? 'kept' : 'rotated';
}

function outcomeOf(reply: Reply, decision: PolicyDecision | undefined): Pick<Played, 'outcome' | 'reasons'> {
  if (reply.kind === 'refused') return { outcome: 'refused', reasons: [...reply.reasons].sort() };
  const codes = [...new Set((decision?.reasons ?? []).map(({ code }) => code))].sort();
  return { outcome: decision?.outcome ?? 'refused', reasons: codes };
}

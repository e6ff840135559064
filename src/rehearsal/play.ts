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

/** Rejects with an OperatorError for a step that names a client or tool that there is not. */
export async function play(sequence: WrittenSequence, policy: Policy): Promise<Played[]> {
  const { clients = {}, tools = {}, steps } = sequence;
  const scene = openScene(policy, tools, sequence.start === undefined ? START : Date.parse(sequence.start));
  const cast = new Cast(scene, clients);
  const played: Played[] = [];
  for (const [step, written] of steps.entries()) {
    scene.advance(durationMs(written.after));
    // What ends by time has ended by then.
    await scene.sessions.sweep();
    if ('call' in written) {
      if (!Object.hasOwn(tools, written.call)) throw unknown(sequence, step, 'tool', written.call, tools);
      const name = written.as ?? Object.keys(clients)[0];
      if (name === undefined || !Object.hasOwn(clients, name))
        throw unknown(sequence, step, 'client', name ?? '', clients);
      for (let time = 1; time <= (written.times ?? 1); time++) {
        if (time > 1) scene.advance(durationMs(written.every));
        played.push(
          ...(await cast.call(name, written, tools[written.call]?.backend ?? '')).map((each) => ({
            step,
            time,
            expect: written.expect,
            ...each,
          })),
        );
      }
    } else if ('freeze' in written) await freeze(scene, written.freeze);
    else if ('revoke' in written) await cast.revoke(written.revoke);
    else if ('lose_history' in written)
      await scene.store.control.loseHistory((await scene.store.control.read(0)).epoch);
  }
  await scene.sessions.settled();
  return played;
}

function unknown({ name }: WrittenSequence, step: number, kind: string, what: string, known: object): OperatorError {
  return new OperatorError(
    `${name}, step ${step + 1}: no ${kind} "${what}"; there are ${Object.keys(known).join(', ') || 'none'}`,
  );
}

async function freeze(
  scene: Scene,
  { reason, thaw, ...selector }: Extract<WrittenSequence['steps'][number], { freeze: object }>['freeze'],
): Promise<void> {
  await scene.store.control.freeze({
    ...{ active: thaw !== true, selector: selector as FreezeSelector, operator: 'rehearsal', reason, until: null },
  });
}

/** The clients with their conversations. */
class Cast {
  readonly #scene: Scene;
  readonly #clients: Readonly<Record<string, WrittenClient>>;
  readonly #handles = new Set<string>();
  readonly #ids = new Map<string, number | string>();
  #next = 1;

  constructor(scene: Scene, clients: Readonly<Record<string, WrittenClient>>) {
    this.#scene = scene;
    this.#clients = clients;
  }

  async call(name: string, written: WrittenCall, backend: string): Promise<Omit<Played, 'step' | 'time' | 'expect'>[]> {
    const { store, sessions } = this.#scene;
    const client = this.#client(name, written.key);
    const address = parseAddress(written.from ?? (this.#clients[name] as WrittenClient).from, PREFIXES);
    if (!address) throw new OperatorError(`"${written.from}" is no address`);
    const handle = written.handle === false ? null : `${name} ${written.handle ?? 'main'}`;
    if (handle !== null && !this.#handles.has(handle)) {
      await store.facts.openHandle(client.ref, handle);
      this.#handles.add(handle);
    }
    const rpcId = this.#idOf(`${name} ${handle}`, written);
    const key = { backend, owner: client.ref };
    const before = (await sessions.look(key)).record;
    const reply = await this.#scene.pipeline({
      scope: { requestId: 'rehearsal', client, ...address, userAgent: 'rehearsal', handle },
      ...{ rpcId, name: written.call, arguments: (written.arguments ?? {}) as Record<string, Json> },
      ...{ signal: new Cancellation(), progress: () => {} },
    });
    // The end of the call is counted behind the reply.
    await new Promise((resolve) => setImmediate(resolve));
    const after = (await sessions.look(key)).record;
    const made = this.#scene.made();
    const last = made.at(-1);
    if (!last)
      throw new OperatorError(`the call of ${written.call} was refused before any decision: ${JSON.stringify(reply)}`);
    const session = !after
      ? before
        ? 'ended'
        : 'none'
      : !before
        ? 'opened'
        : after.login === before.login && after.id === before.id
          ? 'kept'
          : 'rotated';
    return [{ ...last, ...outcomeOf(reply, last.decision), session }];
  }

  async revoke(name: string): Promise<void> {
    const client = this.#client(name, undefined);
    for (const backend of this.#scene.backends.values())
      await this.#scene.sessions.revoke(backend, client.ref, 'rehearsal');
  }

  #idOf(conversation: string, { id, copy }: WrittenCall): number | string {
    const last = this.#ids.get(conversation);
    const chosen = id ?? (copy && last !== undefined ? last : this.#next++);
    this.#ids.set(conversation, chosen);
    return chosen;
  }

  #client(name: string, key: WrittenCall['key']): Client {
    const written = this.#clients[name];
    if (!written) throw new OperatorError(`there is no client "${name}"`);
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

function outcomeOf(reply: Reply, decision: PolicyDecision | undefined): Pick<Played, 'outcome' | 'reasons'> {
  if (reply.kind === 'refused') return { outcome: 'refused', reasons: [...reply.reasons].sort() };
  const codes = [...new Set((decision?.reasons ?? []).map(({ code }) => code))].sort();
  return { outcome: decision?.outcome ?? 'refused', reasons: codes };
}

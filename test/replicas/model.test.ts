// Clients, thieves, operators and accidents act in random order on two connectors with one Redis. Whatever happens,
// a session and generation has one live backend token, no call is allowed on a revoked session, and every call has
// one decision record.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Answer, type Harness, type Loose, reasons, startHarness } from '../support/harness.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { makeKeyring } from '../support/ring.ts';
import { createIssuer, type Issuer } from '../support/tokens.ts';

const program = inject('redis');
const RUNS = 40;
const TOKEN_AGE = 300;

interface User {
  subject: string;
  token: string;
  handle: string | undefined;
  /** The last call that succeeded, which a thief may have captured. */
  captured: { handle: string; id: number } | undefined;
}

interface World {
  connectors: Harness[];
  redis: TestRedis;
  users: User[];
  nextId: number;
  /** Calls that must have a decision record. */
  calls: number;
  /** By user, the time when the store was emptied: the next call of that user must be rotated or denied. */
  forgotten: Map<string, number>;
  /** Sessions that were revoked. */
  revoked: Set<string>;
}

const connector = ({ connectors }: World, i: number) => connectors[i % connectors.length] as Harness;
const auth = (user: User) => ({ headers: { authorization: `Bearer ${user.token}` } });

async function decisions(world: World, subjects: Set<string>): Promise<Loose[]> {
  const all = await Promise.all(world.connectors.map((each) => each.audit('decision')));
  return all.flat().filter(({ client }) => subjects.has(client.subject));
}

/** Sends a call and checks its decision record against what the model knows. */
async function call(world: World, at: Harness, user: User, tool: string, id: number): Promise<Answer> {
  const before = (await at.audit('decision')).length;
  const handle = user.handle;
  const answer = await at.call(tool, {}, { ...auth(user), id, ...(handle !== undefined && { handle }) });
  if (answer.status === 404) {
    user.handle = undefined;
    expect((await at.audit('decision')).length).toBe(before);
    return answer;
  }
  expect(answer.status).toBe(200);
  world.calls += 1;
  const record = (await at.audit('decision')).slice(before).find(({ client }) => client.subject === user.subject);
  const { outcome } = record.result;
  const { session, usage } = record.input;
  // The outcome must fit the facts of the same record.
  if (session && session.token_age_seconds >= TOKEN_AGE) expect(outcome).not.toBe('allow');
  if (usage.forgotten) expect(outcome).not.toBe('allow');
  const lost = world.forgotten.get(user.subject);
  world.forgotten.delete(user.subject);
  // No fact reaches back more than an hour, so after an hour the loss no longer matters.
  if (lost !== undefined && at.clock.now() - lost < 3_600_000) expect(outcome).not.toBe('allow');
  // A revoked session never appears in a later decision.
  if (session) expect(world.revoked.has(session.id)).toBe(false);
  if (outcome === 'deny') expect(reasons(answer).length).toBeGreaterThan(0);
  else if (handle !== undefined && reasons(answer).length === 0) user.captured = { handle, id };
  return answer;
}

abstract class Step implements fc.AsyncCommand<object, World, true> {
  readonly who: number;
  readonly where: number;
  constructor(who: number, where: number) {
    this.who = who;
    this.where = where;
  }
  check = async () => true;
  abstract run(model: object, world: World): Promise<void>;
  toString = () => `${this.constructor.name}(user ${this.who}, connector ${this.where})`;
  user = (world: World) => world.users[this.who % world.users.length] as User;
}

class Login extends Step {
  async run(_model: object, world: World): Promise<void> {
    const user = this.user(world);
    user.handle = await connector(world, this.where).initialize(auth(user));
    expect(user.handle).not.toBe('');
  }
}

class Use extends Step {
  async run(_model: object, world: World): Promise<void> {
    await call(world, connector(world, this.where), this.user(world), 'stock_list', world.nextId++);
  }
}

/** Eight calls of one user at once, on both connectors. */
class Crowd extends Step {
  async run(_model: object, world: World): Promise<void> {
    const user = this.user(world);
    // The records of concurrent calls cannot be checked one by one here, only all together at the end.
    world.forgotten.delete(user.subject);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        connector(world, this.where + i).call('stock_get', { sku: 'A-1' }, { ...auth(user), id: world.nextId++ }),
      ),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      world.calls += 1;
      if (reasons(answer).length === 0) expect(answer.body.result.structuredContent.sku).toBe('A-1');
    }
  }
}

class Rotate extends Step {
  async run(_model: object, world: World): Promise<void> {
    connector(world, 0).clock.advance(TOKEN_AGE);
    await call(world, connector(world, this.where), this.user(world), 'stock_list', world.nextId++);
  }
}

class Replay extends Step {
  async run(_model: object, world: World): Promise<void> {
    const user = this.user(world);
    if (!user.captured) return;
    const { handle, id } = user.captured;
    const current = user.handle;
    user.handle = handle;
    const answer = await call(world, connector(world, this.where), user, 'stock_list', id);
    // A read in a conversation whose history was lost may be a copy of one from before the loss.
    const { input } = (await connector(world, this.where).audit('decision')).at(-1) as Loose;
    if (answer.status === 200 && input.replay.history !== 'lost') expect(reasons(answer)).toContain('replay.seen');
    user.handle = handle === current ? user.handle : current;
  }
}

class Revoke extends Step {
  async run(_model: object, world: World): Promise<void> {
    const user = this.user(world);
    const seen = (await decisions(world, new Set([user.subject]))).map(({ input }) => input.session?.id);
    for (const id of seen) if (id) world.revoked.add(id);
    const { connector: at } = connector(world, this.where);
    const answer = await fetch(new URL('/revocations', at.adminUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${'t'.repeat(40)}` },
      body: JSON.stringify({ subject: user.subject, reason: 'a test' }),
    });
    expect(answer.status).toBe(200);
  }
}

class Expire extends Step {
  async run(_model: object, world: World): Promise<void> {
    (world.connectors[0] as Harness).legacy.endAllSessions();
  }
}

class LoseStore extends Step {
  async run(_model: object, world: World): Promise<void> {
    for (const each of world.connectors) await each.connector.settled();
    // Nobody can log out the sessions that are lost with the store, so the backend's own timeout ends them.
    (world.connectors[0] as Harness).legacy.endAllSessions();
    await world.redis.command('FLUSHALL');
    for (const user of world.users) world.forgotten.set(user.subject, connector(world, 0).clock.now());
  }
}

class StepClock extends Step {
  readonly seconds: number;
  constructor(seconds: number) {
    super(0, 0);
    this.seconds = seconds;
  }
  override toString = () => `StepClock(${this.seconds})`;
  async run(_model: object, world: World): Promise<void> {
    const { clock } = connector(world, 0);
    clock.advance(this.seconds);
    // The clock may go back before the loss is noticed, so the time of the loss goes back with it.
    for (const [subject, at] of world.forgotten) world.forgotten.set(subject, Math.min(at, clock.now()));
  }
}

const one = fc.nat(1);
const steps: fc.Arbitrary<fc.AsyncCommand<object, World, true>>[] = [
  fc.tuple(one, one).map(([who, where]) => new Login(who, where)),
  fc.tuple(one, one).map(([who, where]) => new Use(who, where)),
  fc.tuple(one, one).map(([who, where]) => new Use(who, where)),
  fc.tuple(one, one).map(([who, where]) => new Crowd(who, where)),
  fc.tuple(one, one).map(([who, where]) => new Rotate(who, where)),
  fc.tuple(one, one).map(([who, where]) => new Replay(who, where)),
  fc.tuple(one, one).map(([who, where]) => new Revoke(who, where)),
  fc.constant(new Expire(0, 0)),
  fc.constant(new LoseStore(0, 0)),
  fc.integer({ min: -7200, max: 7200 }).map((seconds) => new StepClock(seconds)),
];
const commands = fc.commands(steps, { maxCommands: 40, size: 'max' });

describe.skipIf(program === null)('model', () => {
  let redis: TestRedis;
  let ring: ReturnType<typeof makeKeyring>;
  let issuer: Issuer;
  let first: Harness;
  let second: Harness;
  let run = 0;

  beforeAll(async () => {
    ring = makeKeyring();
    redis = await startRedis(program as string);
    issuer = await createIssuer(() => first.clock.now());
    const shared = (yaml: string) =>
      yaml
        .replace('identity:\n', `identity:\n${issuer.yaml}`)
        .replace(
          'state_dir:',
          `keyring_file: ${ring.file}\nstore: { redis: { url: "${redis.url}" } }\nadmin: { port: 0, token: { env: MODEL_ADMIN_TOKEN } }\nstate_dir:`,
        );
    process.env.MODEL_ADMIN_TOKEN = 't'.repeat(40);
    first = await startHarness({ edit: shared });
    second = await startHarness({
      clock: first.clock,
      edit: (yaml) =>
        shared(yaml)
          .replace('url: ${LEGACY_INVENTORY_URL}', `url: ${first.legacy.url}`)
          .replace('"${SALLYPORT_STATE_DIR}/demo-backend.password"', `"${first.stateDir}/demo-backend.password"`),
    });
  });
  afterAll(async () => {
    await second?.close();
    await first?.close();
    await redis?.stop();
    issuer?.remove();
    ring.remove();
  });

  async function endAll(): Promise<void> {
    const answer = await fetch(new URL('/revocations', first.connector.adminUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${'t'.repeat(40)}` },
      body: JSON.stringify({ all: true, reason: 'a test' }),
    });
    expect(answer.status).toBe(200);
    for (const each of [first, second]) await each.connector.settled();
  }

  it(`R-23, R-24, R-25, R-26, R-27, R-28, R-29, R-35: ${RUNS} random histories on two connectors`, async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (history) => {
        run += 1;
        // While fast-check shrinks a failed history, the failed runs leave their sessions behind.
        await endAll();
        const users = await Promise.all(
          ['a', 'b'].map(async (name): Promise<User> => {
            const subject = `${name}-${run}`;
            const token = await issuer.token({ sub: subject, exp: Math.floor(first.clock.now() / 1000) + 10_000_000 });
            return { subject, token, handle: undefined, captured: undefined };
          }),
        );
        const world: World = {
          connectors: [first, second],
          redis,
          users,
          nextId: 1,
          calls: 0,
          forgotten: new Map(),
          revoked: new Set(),
        };
        await fc.asyncModelRun(() => ({ model: {}, real: world }), history);

        for (const each of world.connectors) await each.connector.settled();
        const subjects = new Set(users.map(({ subject }) => subject));
        expect((await decisions(world, subjects)).length).toBe(world.calls);
        // There is at most one live backend token for each user, and none once everything is revoked.
        expect(first.legacy.stats().liveSessions).toBeLessThanOrEqual(users.length);
        await endAll();
        expect(first.legacy.stats().liveSessions).toBe(0);
      }),
      { numRuns: RUNS, endOnFailure: false },
    );
  }, 300_000);
});

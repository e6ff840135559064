// the backend changes the cookie in an answer. The newest value is used, older ones end with their login.
import { expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { AcquiredSession } from '../../src/session/manager.ts';
import { MOST_SUPERSEDED } from '../../src/session/pending.ts';
import { ref } from '../support/refs.ts';
import {
  acquired,
  backend,
  changeBackend,
  events,
  KEY,
  live,
  logins,
  manager,
  name,
  observed,
  onMemory,
  onRedis,
  replica,
  request,
  sessions,
  store,
  stored,
} from '../support/sessions.ts';

const token = (id: string) => new Secret({ cookies: [], values: { id } });
/** The backend gives a new value in the answer to a call, and the old one stays valid. */
const renewed = (session: AcquiredSession, id: string, by = sessions) => {
  live.add(id);
  return by.changed(session, { renewed: token(id) }, false);
};
const use = async (by = sessions, at = store) => acquired(by.acquire(request(), await observed('owner', by, at)));
const ended = () => events.filter(({ type }) => type === 'session_ended');

function suite(): void {
  it('R-54, R-81: of two answers that renew at once the later one is used, and nothing is logged out while the login lives', async () => {
    const [first, second] = [await use(), await use()];
    await renewed(first, 'one');
    await renewed(second, 'two');
    first.release();
    second.release();
    await sessions.settled();
    expect(name((await use()).backendToken)).toBe('two');
    expect(await stored()).toMatchObject({ generation: 3 });
    expect(live).toEqual(new Set(['token-1', 'one', 'two']));
    expect(logins).toBe(1);
    await sessions.revoke(backend, ref('owner'), 'test');
    await sessions.settled();
    expect(live.size).toBe(0);
    expect(ended()).toHaveLength(3);
  });

  it('R-54: two answers with the same new backend token are one renewal', async () => {
    const [first, second] = [await use(), await use()];
    live.add('renewed');
    await Promise.all([
      sessions.changed(first, { renewed: token('renewed') }, false),
      sessions.changed(second, { renewed: token('renewed') }, false),
    ]);
    first.release();
    second.release();
    await sessions.settled();
    expect(live.has('renewed')).toBe(true);
    expect(await stored()).toMatchObject({ generation: 2 });
  });

  it('R-81: a value that comes back is in use again and not superseded', async () => {
    for (const id of ['a', 'b', 'a']) {
      const session = await use();
      await renewed(session, id);
      session.release();
    }
    await sessions.revoke(backend, ref('owner'), 'test');
    await sessions.settled();
    expect(ended().map((event) => 'record' in event && event.record.tokenFingerprint)).toHaveLength(3);
    expect(live.size).toBe(0);
  });

  it('R-81, R-95: of more values than are kept the newest are logged out, and the others are on record as one number', async () => {
    for (let i = 0; i < 20; i++) {
      const session = await use();
      await renewed(session, `value-${i}`);
      session.release();
    }
    const last = await use();
    last.release();
    (await acquired(sessions.rotate(request(), await observed(), 'age'))).release();
    await sessions.settled();
    // The login's own value and 11 renewed ones were too many; 8 and the one in use were logged out.
    expect(ended().filter((event) => 'proof' in event && event.proof === 'dead')).toHaveLength(MOST_SUPERSEDED + 1);
    expect(ended().find((event) => 'proof' in event && event.proof === 'superseded')).toMatchObject({ count: 12 });
    expect(live.size).toBe(12 + 1);
    expect(await store.sessions.pendingLogouts(KEY())).toEqual([]);
  });

  it('R-95: what an answer that is no good has brought ends with the login, and what a login left behind ends at once', async () => {
    const session = await use();
    live.add('stray');
    await sessions.changed(session, { strays: [token('stray')] }, false);
    expect(name((await use()).backendToken)).toBe('token-1');
    expect(live.has('stray')).toBe(true);
    await sessions.revoke(backend, ref('owner'), 'test');
    live.add('late');
    await sessions.changed(session, { strays: [token('late')] }, true);
    session.release();
    await sessions.settled();
    expect(live.size).toBe(0);
  });

  it('R-81: a renewal that comes after its login was rotated is logged out and replaces nothing', async () => {
    const session = await use();
    (await acquired(sessions.rotate(request(), await observed(), 'age'))).release();
    await renewed(session, 'too late');
    session.release();
    await sessions.settled();
    expect(live).toEqual(new Set(['token-2']));
    expect(await stored()).toMatchObject({ generation: 2 });
  });

  it('R-95: a renewal that a failing store did not take is on record, kept, and ends with its login', async () => {
    const session = await use();
    const { replace, get, supersede } = store.sessions;
    const fail = () => Promise.reject(new Error('the store is down'));
    Object.assign(store.sessions, { replace: fail, supersede: fail });
    await renewed(session, 'unsaved');
    Object.assign(store.sessions, { replace, get, supersede });
    session.release();
    expect(events.at(-1)).toMatchObject({ type: 'logout_pending' });
    await sessions.sweep();
    await sessions.revoke(backend, ref('owner'), 'test');
    await sessions.settled();
    expect(live.size).toBe(0);
  });

  it('R-54: calls of a backend that replaces the cookie with each answer wait for each other', async () => {
    changeBackend({ oneAtATime: true });
    const turns = manager(store);
    let [running, most] = [0, 0];
    const call = () =>
      turns.inTurn(request(), async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running -= 1;
      });
    await Promise.all(Array.from({ length: 10 }, call));
    expect(most).toBe(1);
  });
}

onMemory(suite);
onRedis(suite);

onRedis(() => {
  it('R-81: answers on two replicas renew one session 40 times at once, with one login and no logout', async () => {
    const other = await replica();
    const first = await use();
    first.release();
    for (let round = 0; round < 20; round++) {
      const [here, there] = [await use(), await use(other.manager, other.store)];
      await Promise.all([renewed(here, `here-${round}`), renewed(there, `there-${round}`, other.manager)]);
      here.release();
      there.release();
    }
    expect(logins).toBe(1);
    expect(ended()).toEqual([]);
    await other.manager.revoke(backend, ref('owner'), 'test');
    await Promise.all([sessions.settled(), other.manager.settled()]);
    const count = ended().find((event) => 'count' in event && event.count);
    expect(count).toMatchObject({ proof: 'superseded', count: live.size });
  });

  it('R-54: a turn holds over replicas', async () => {
    changeBackend({ oneAtATime: true });
    const replicas = [await replica(), await replica()];
    let [running, most] = [0, 0];
    const call = (by: (typeof replicas)[number]) =>
      by.manager.inTurn(request(), async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running -= 1;
      });
    await Promise.all(Array.from({ length: 10 }, (_, i) => call(replicas[i % 2] as (typeof replicas)[number])));
    expect(most).toBe(1);
  });
});

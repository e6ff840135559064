// Logins of which nobody knows how they ended. Each is on record before anything forgets it.
import { expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import {
  changeBackend,
  clock,
  events,
  KEY,
  manager,
  observed,
  onMemory,
  onRedis,
  request,
  sessions,
  store,
} from '../support/sessions.ts';

const token = new Secret({ cookies: [], values: { id: 'half' } });
const abandoned = () => events.filter(({ type }) => type === 'login_abandoned');

function suite(): void {
  it('R-95: a login that the backend did not answer is on record as left behind', async () => {
    changeBackend({
      login: async () => ({ ok: false, code: 'backend.deadline', detail: 'deadline', unanswered: true }),
    });
    expect(await manager(store).acquire(request(), await observed())).toMatchObject({ code: 'backend.deadline' });
    expect(abandoned()).toMatchObject([{ type: 'login_abandoned', key: KEY(), cause: 'the backend did not answer' }]);
  });

  it('R-95: a login that fails by a fault is on record, and what it had received is logged out', async () => {
    const ended: unknown[] = [];
    changeBackend({
      async login(_account, checkpoint) {
        await checkpoint(token);
        throw new Error('a fault');
      },
      logout: async (secret) => {
        ended.push(secret.reveal().values.id);
        return 'dead';
      },
    });
    const faulty = manager(store);
    expect(await faulty.acquire(request(), await observed())).toMatchObject({ ok: false });
    await faulty.settled();
    expect(abandoned()).toHaveLength(1);
    expect(ended).toEqual(['half']);
  });

  it('R-27, R-95: a login whose replica died after its first answer is logged out and on record as well', async () => {
    const locked = await store.sessions.lockLogin(KEY(), await observed(), 1000);
    if (locked.kind !== 'locked') throw new Error(locked.kind);
    clock.advance(60);
    await sessions.sweep();
    await sessions.settled();
    expect(abandoned()).toMatchObject([{ type: 'login_abandoned', key: KEY(), cause: 'its replica is gone' }]);
    // It is forgotten only now that it is on record.
    clock.advance(60);
    await sessions.sweep();
    await sessions.settled();
    expect(abandoned()).toHaveLength(1);
  });
}

onMemory(suite);
onRedis(suite);

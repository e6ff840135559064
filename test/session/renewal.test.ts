// the backend changes the cookie in an answer.
import { expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { acquired, live, name, observed, onMemory, onRedis, request, sessions, stored } from '../support/sessions.ts';

function suite(): void {
  it('R-54: a renewal by the backend becomes the next generation, and a late renewal does not replace a newer one', async () => {
    const session = await acquired(sessions.acquire(request(), await observed()));
    live.add('renewed');
    await sessions.renew(session, new Secret({ cookies: [], values: { id: 'renewed' } }));
    const next = await acquired(sessions.acquire(request(), await observed()));
    expect([next.record.generation, name(next.backendToken)]).toEqual([2, 'renewed']);
    live.add('too late');
    await sessions.renew(session, new Secret({ cookies: [], values: { id: 'too late' } }));
    expect((await stored())?.generation).toBe(2);
    session.release();
    next.release();
    await sessions.settled();
    expect(live.has('too late')).toBe(false);
  });

  it('R-54: two answers with the same new backend token do not log it out', async () => {
    const [first, second] = [
      await acquired(sessions.acquire(request(), await observed())),
      await acquired(sessions.acquire(request(), await observed())),
    ];
    live.add('renewed');
    const renewed = () => new Secret({ cookies: [], values: { id: 'renewed' } });
    await Promise.all([sessions.renew(first, renewed()), sessions.renew(second, renewed())]);
    first.release();
    second.release();
    await sessions.settled();
    expect(live.has('renewed')).toBe(true);
    expect(await stored()).toMatchObject({ generation: 2 });
  });
}

onMemory(suite);
onRedis(suite);

import { expect, it } from 'vitest';
import { carryOut } from '../../src/enforcement/obligations.ts';

const reasons = [{ code: 'x.y', params: {} }];

it('R-35: an alert that fails does not spare the session that is to be revoked', async () => {
  let revoked = false;
  const carried = await carryOut(
    { outcome: 'deny', reasons, obligations: [{ type: 'alert', severity: 'high' }, { type: 'revoke_session' }] },
    {
      alert: () => Promise.reject(new Error('disk')),
      revokeSession: async () => {
        revoked = true;
      },
    },
  );
  expect(carried).toEqual({ ok: false, detail: 'alert could not be carried out' });
  expect(revoked).toBe(true);
});

// Whether the backends take the logins of the connector. One line when they begin to fail and one when they work again: a
// line for each would be one for every call.
import type { OpsLog } from '../audit/ops.ts';
import type { SessionEvents } from '../session/events.ts';

export interface LoginWatch {
  /** What is told here is told on. */
  readonly events: SessionEvents;
  /** By backend, why the last login there failed. */
  failing(): ReadonlyMap<string, string>;
}

export function watchLogins(events: SessionEvents, ops: OpsLog): LoginWatch {
  const failing = new Map<string, string>();
  return {
    events(event) {
      if (event.type === 'login_failed') {
        const { backend, detail } = event;
        if (!failing.has(backend)) ops.warn('the backend does not take the login', { backend, detail });
        failing.set(backend, detail);
      } else if (event.type === 'session_opened' || event.type === 'session_rotated') {
        const { backend } = event.record;
        if (failing.delete(backend)) ops.info('the backend takes the login again', { backend });
      }
      return events(event);
    },
    failing: () => failing,
  };
}

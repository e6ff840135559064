import type { Clock } from '../../core/clock.ts';
import type { BackendQuotas } from '../../session/quotas.ts';

const MINUTE_MS = 60_000;

/** The quotas of backends in the memory of this process. */
export function createMemoryQuotas(clock: Clock): BackendQuotas {
  const places = new Map<string, Map<string, number>>();
  const logins = new Map<string, number[]>();
  const failures = new Map<string, number[]>();
  const since = (times: Map<string, number[]>, name: string, ms: number): number[] => {
    const left = (times.get(name) ?? []).filter((at) => at > clock.now() - ms);
    if (left.length === 0) times.delete(name);
    else times.set(name, left);
    return left;
  };
  const add = (times: Map<string, number[]>, name: string) =>
    times.set(name, [...(times.get(name) ?? []), clock.now()]);
  const of = (backend: string, account: string) => JSON.stringify([backend, account]);
  /** How long until fewer than `most` of these times are within `ms`. */
  const wait = (times: readonly number[], most: number, ms: number): number =>
    times.length < most ? 0 : Math.max(1, (times[times.length - most] as number) + ms - clock.now());

  return {
    async enter(backend, call, most, leaseMs) {
      const taken = places.get(backend) ?? new Map<string, number>();
      places.set(backend, taken);
      for (const [name, until] of taken) if (until <= clock.now()) taken.delete(name);
      if (taken.size >= most && !taken.has(call)) return false;
      taken.set(call, clock.now() + leaseMs);
      return true;
    },
    async leave(backend, call) {
      places.get(backend)?.delete(call);
    },
    async login(backend, account, { perMinute, failures: { most, withinMs } }) {
      const failed = wait(since(failures, of(backend, account), withinMs), most, withinMs);
      const busy = perMinute === undefined ? 0 : wait(since(logins, backend, MINUTE_MS), perMinute, MINUTE_MS);
      const ms = Math.max(failed, busy);
      if (ms === 0 && perMinute !== undefined) add(logins, backend);
      return ms;
    },
    async answered(backend, account, accepted, { failures: { withinMs } }) {
      const name = of(backend, account);
      if (accepted) failures.delete(name);
      else {
        since(failures, name, withinMs);
        add(failures, name);
      }
    },
  };
}

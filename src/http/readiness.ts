// Which parts keep the connector from taking calls, for /readyz and the metrics.
import type { Readiness } from './checks/health.ts';

/** By its public name, whether a part is ready. A part that cannot tell is not. */
export type Parts = Readonly<Record<string, () => boolean | Promise<boolean>>>;

export function readinessOf(parts: Parts): Readiness {
  return async () => {
    const failing: string[] = [];
    for (const [name, ready] of Object.entries(parts)) {
      const is = await Promise.resolve(ready()).catch(() => false);
      if (!is) failing.push(name);
    }
    return failing;
  };
}

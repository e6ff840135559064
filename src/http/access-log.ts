// The access log: a line in the operational log for each request, when it has been answered or its connection was cut.
import type { ServerResponse } from 'node:http';
import type { OpsLog } from '../audit/ops.ts';

/** What is told of a request. */
export interface AccessFields {
  method: string;
  path: string;
  [name: string]: string | number | undefined;
}

/** What balancers and orchestrators ask every other second. */
export const PROBES: ReadonlySet<string> = new Set(['/livez', '/healthz', '/readyz']);

/**
 * Writes one line for a request; for a probe only when the answer is not 200. `describe` is asked at the end, when everything
 * about the request is known. It tells of no query, which may hold what belongs into no log.
 */
export function logAccess(ops: OpsLog, response: ServerResponse, describe: () => AccessFields): void {
  const began = performance.now();
  response.once('close', () => {
    // 0: the connection was cut before the whole answer was sent.
    const status = response.writableFinished ? response.statusCode : 0;
    let fields: AccessFields;
    try {
      fields = describe();
    } catch {
      // Nothing of a request that is over is there for certain, and no line is worth the process.
      return;
    }
    if (status === 200 && PROBES.has(fields.path)) return;
    const known = Object.entries(fields).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
    ops.info('request', { ...Object.fromEntries(known), status, ms: Math.round(performance.now() - began) });
  });
}

// One HTTP request to a backend, as login steps, logout, probes and tools describe it.
import { z } from 'zod';

const template = z.string();
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not a header name');

/** Headers the connector sets itself: a template must not fight over framing, session or origin. */
const RESERVED = new Set([
  'host',
  'cookie',
  'content-length',
  'transfer-encoding',
  'connection',
  'content-type',
  'accept-encoding',
  'upgrade',
  'expect',
  'te',
  'trailer',
]);

export const requestSchema = z
  .strictObject({
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
    path: template.startsWith('/').describe('Path below the backend URL; "{name}" is replaced by one path segment'),
    query: z.record(z.string(), template).optional(),
    headers: z.record(headerName, template).optional(),
    form: z.record(z.string(), template).optional().describe('Body as application/x-www-form-urlencoded'),
    json: z.json().optional().describe('Body as JSON; a string that is just "{name}" keeps the type of the value'),
  })
  .refine((r) => r.form === undefined || r.json === undefined, {
    message: 'a request has a form or a json body, not both',
  })
  .refine((r) => !['GET', 'HEAD'].includes(r.method) || (r.form === undefined && r.json === undefined), {
    message: 'a GET or HEAD request has no body',
  })
  .refine((r) => !r.path.includes('?') && !r.path.includes('#'), {
    path: ['path'],
    message: 'put the query string under "query"',
  })
  .refine((r) => !Object.keys(r.headers ?? {}).some((name) => RESERVED.has(name.toLowerCase())), {
    path: ['headers'],
    message: `the connector sets these headers itself: ${[...RESERVED].join(', ')}`,
  });

export type RequestTemplate = z.infer<typeof requestSchema>;

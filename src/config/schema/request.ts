// Schema of one HTTP request to a backend, as it is used in login steps, logout, probes, CSRF steps and tools.
import { z } from 'zod';
import { xmlTemplateProblem } from '../../formats/xml.ts';
import { headerName } from './condition.ts';

const template = z.string();
const name = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower case letters, digits and "_"');

/**
 * Headers that a template must not set, because they decide how the message is delimited, which host it is for and
 * which session it carries: the connector and its HTTP client do that.
 */
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
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
]);

/** Headers with templates for their values. */
export const headerTemplates = z
  .record(headerName, template)
  .refine((headers) => !Object.keys(headers).some((header) => RESERVED.has(header.toLowerCase())), {
    message: `the connector sets these headers itself: ${[...RESERVED].join(', ')}`,
  });

const xmlTemplate = template.superRefine((text, context) => {
  const problem = xmlTemplateProblem(text);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const BODIES = ['form', 'hidden_fields', 'json', 'xml', 'jsonrpc'] as const;

/** One request template. Its placeholders are checked in check-request.ts. */
export const requestSchema = z
  .strictObject({
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
    path: template.startsWith('/').describe('Path below the backend URL; "{name}" is replaced by one path segment'),
    query: z.record(z.string(), template).optional(),
    headers: headerTemplates.optional(),
    form: z.record(z.string(), template).optional().describe('Body as application/x-www-form-urlencoded'),
    hidden_fields: name
      .optional()
      .describe('Name under which an earlier step extracted hidden_fields, sent before the fields of "form"'),
    json: z.json().optional().describe('Body as JSON; a string that is just "{name}" keeps the type of the value'),
    xml: xmlTemplate.optional().describe('Body as XML; placeholders stand in text or in attribute values'),
    jsonrpc: z
      .strictObject({ method: z.string().min(1), params: z.json().optional() })
      .optional()
      .describe('Body as a JSON-RPC 2.0 request; an answer with an "error" is a failure'),
    content_type: z
      .string()
      .regex(/^[\w.+-]+\/[\w.+-]+(;\s*[\w-]+="?[\w.+:/-]+"?)*$/, 'a media type, such as text/xml; charset=utf-8')
      .optional()
      .describe('Replaces the default application/json or application/xml'),
  })
  .refine(
    (r) => new Set(BODIES.filter((b) => r[b] !== undefined).map((b) => (b === 'hidden_fields' ? 'form' : b))).size <= 1,
    {
      message: 'a request has one body: form (with hidden_fields), json, xml or jsonrpc',
    },
  )
  .refine((r) => !['GET', 'HEAD'].includes(r.method) || BODIES.every((body) => r[body] === undefined), {
    message: 'a GET or HEAD request has no body; set "method"',
  })
  .refine(
    (r) => r.content_type === undefined || r.json !== undefined || r.xml !== undefined || r.jsonrpc !== undefined,
    {
      path: ['content_type'],
      message: 'only for json, xml and jsonrpc',
    },
  )
  .refine((r) => !r.path.includes('?') && !r.path.includes('#'), {
    path: ['path'],
    message: 'put the query string under "query"',
  });

/** A request template as it is configured. */
export type RequestTemplate = z.infer<typeof requestSchema>;

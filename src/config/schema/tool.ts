// Schema of one entry under "tools": what the client sees of the tool, the request to the backend that it stands for,
// and how the answer becomes a result.
import { z } from 'zod';
import { selectorProblem } from '../../formats/html/text.ts';
import { queryProblem } from '../../formats/query.ts';
import { conditionsSchema, expiredSchema, oneOrMore, pointer, saySchema } from './condition.ts';
import { requestSchema } from './request.ts';

const jsonSchema = z.record(z.string(), z.json());

const checked = (problemOf: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const problem = problemOf(text);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });

const pagesSchema = z
  .strictObject({
    by: z
      .enum(['number', 'offset', 'cursor'])
      .describe('What "{page}" in the request stands for: the page number, that of its first item, or a cursor'),
    first: z.int().min(0).optional().describe('number: first page (default 1); offset: first item (default 0)'),
    size: z.int().min(1).max(10_000).optional().describe('Items on a full page; a shorter one is the last'),
    cursor: pointer
      .optional()
      .describe('cursor: where an answer has the cursor of the next page; the last page has none'),
    items: pointer.default('').describe('Where an answer has its list'),
    most: z.int().min(1).max(100).default(10).describe('Largest number of pages that one call reads'),
  })
  .refine((pages) => (pages.by === 'cursor') === (pages.cursor !== undefined), {
    path: ['cursor'],
    message: 'needed with "by: cursor", and only there',
  })
  .refine((pages) => pages.by !== 'offset' || pages.size !== undefined, {
    path: ['size'],
    message: 'needed with "by: offset"',
  });

const resultSchema = z.strictObject({
  as: z
    .enum(['json', 'text', 'html', 'xml', 'binary', 'location', 'status'])
    .default('json')
    .describe(
      'json; text as it is; html: the text of a page; xml: as JSON; binary: a resource; location: where a redirect leads; status: nothing but the status',
    ),
  pointer: pointer.optional().describe('json, xml: part of the answer to return'),
  jmespath: checked(queryProblem).optional().describe('json, xml: JMESPath expression, applied to that part'),
  select: oneOrMore(checked(selectorProblem))
    .optional()
    .describe('html: CSS selectors of the parts to return; default: the whole page'),
  lists: z.array(z.string()).default([]).describe('xml: elements that are a list even when there is only one'),
  wrap: z
    .string()
    .regex(/^[A-Za-z_]\w*$/)
    .optional()
    .describe('Put the result into an object under this name: clients get structured content only for objects'),
  schema: jsonSchema
    .optional()
    .describe('JSON Schema (2020-12) of the result, shown to clients; an answer that does not match is refused'),
  media_types: z
    .array(z.string().regex(/^[\w.+-]+\/([\w.+-]+|\*)$/, 'a media type, such as application/pdf or image/*'))
    .min(1)
    .optional()
    .describe('Content types an answer may have; needed for binary'),
  max_bytes: z
    .int()
    .min(1)
    .max(104_857_600)
    .default(262_144)
    .describe('Longest result, as JSON or text, or the bytes of a binary'),
  truncate: z.boolean().default(false).describe('text, html: cut a longer result and mark it instead of refusing it'),
});

/** One tool. What a schema cannot express is in check-tool.ts. */
export const toolSchema = z.strictObject({
  backend: z.string(),
  title: z.string().optional(),
  description: z.string().min(1),
  effect: z
    .enum(['read', 'write', 'destructive'])
    .describe('read may be repeated after a new login; write and destructive are not'),
  idempotent: z
    .boolean()
    .optional()
    .describe('A write that may be repeated after a new login, because doing it twice is doing it once'),
  open_world: z.boolean().default(false).describe('The backend itself reaches out to other systems (openWorldHint)'),
  arguments: jsonSchema
    .default({ type: 'object', properties: {} })
    .describe(
      'JSON Schema (2020-12) of the arguments; properties it does not name are refused unless it says otherwise',
    ),
  fill_defaults: z
    .boolean()
    .optional()
    .describe(
      'Fill in the defaults of the argument schema; default: for reads only, since one could overwrite a field',
    ),
  request: requestSchema,
  expect: oneOrMore(conditionsSchema.element)
    .optional()
    .describe('How a good answer looks: any of these; default: any 2xx'),
  failed: conditionsSchema.optional().describe('How a failure looks, in addition to "failed" of the backend'),
  expired: expiredSchema
    .optional()
    .describe('How the end of a session looks in answers to this tool alone, in addition to "expired" of the backend'),
  refused: conditionsSchema
    .optional()
    .describe('How a refused CSRF token looks in answers to this tool alone, in addition to "csrf.refused"'),
  say: saySchema.optional().describe('Replaces "say" of the backend for this tool'),
  assert: z
    .array(conditionsSchema.element)
    .optional()
    .describe('Replaces "assert" of the backend for this tool; an empty list demands nothing'),
  pages: pagesSchema.optional().describe('Reads page after page; the result is { items, complete }'),
  result: resultSchema.prefault({}),
  audit: z
    .array(z.string())
    .default([])
    .describe('Arguments whose values may stand in the decision log; all others are erased'),
});

/** A tool as it is configured, with all defaults filled in. */
export type ToolConfig = z.infer<typeof toolSchema>;
/** How a good answer becomes the result of the tool. */
export type ResultConfig = z.infer<typeof resultSchema>;
/** How a list that the backend gives in pages is read. */
export type PagesConfig = z.infer<typeof pagesSchema>;

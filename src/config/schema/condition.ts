// Conditions on an answer of a backend. Login steps use them to say what they expect, backends and tools to say how
// the end of a session, a refused CSRF token or a failure looks.
import { z } from 'zod';
import { selectorProblem } from '../../formats/html/text.ts';
import { patternProblem } from '../../formats/pattern.ts';

/** Accepts one value or a list of values; the parsed configuration always has a list. */
export const oneOrMore = <T extends z.ZodType>(schema: T) =>
  z
    .union([schema, z.array(schema).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);

/** A header name: a token of RFC 9110 §5.6.2. */
export const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not a header name');
/** An HTTP status. */
export const status = z.int().min(100).max(599);
/** A JSON pointer (RFC 6901); "" is the whole document. */
export const pointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/, 'a JSON pointer (RFC 6901), such as /error/code');
/** A path relative to the URL of the backend. */
export const belowRoot = z.string().startsWith('/', 'a path below the backend URL, beginning with "/"');

/** A regular expression (RE2) that may match anywhere in the text. `groups`: how many groups it must have. */
export const pattern = (groups?: number) =>
  z.string().superRefine((source, context) => {
    const problem = patternProblem(source, groups);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const shape = {
  status: oneOrMore(status).optional().describe('One of these'),
  redirect_to: oneOrMore(belowRoot)
    .optional()
    .describe(
      'A redirect on the backend itself whose path is, or lies below, one of these; "/order?id=0" asks for the query too',
    ),
  header: z
    .record(headerName, pattern())
    .optional()
    .describe('Each of these headers is there and has the pattern in its value ("" when being there is enough)'),
  body_contains: oneOrMore(z.string().min(1)).optional().describe('One of these texts'),
  body_matches: oneOrMore(pattern()).optional().describe('One of these regular expressions (RE2)'),
  form_field: oneOrMore(z.string().min(1)).optional().describe('A page (HTML) with an <input> of one of these names'),
  json: z
    .record(pointer, oneOrMore(scalar))
    .optional()
    .describe('A JSON answer that has, at each pointer, this value (one of these)'),
  json_has: oneOrMore(pointer).optional().describe('A JSON answer that has something at each of these pointers'),
  json_lacks: oneOrMore(pointer).optional().describe('A JSON answer that has nothing at any of these pointers'),
};

const saysSomething = (condition: object): boolean => Object.keys(condition).some((key) => key in shape);
const message = `a condition needs at least one of ${Object.keys(shape).join(', ')}`;

/** One condition: everything that it names must hold. */
export const conditionSchema = z
  .strictObject(shape)
  .refine(saysSomething, { message })
  .describe('Everything that is given must hold');

/**
 * Alternatives, of which one must hold. Always written as a list: in a single object, conditions that were meant as
 * alternatives would all have to hold.
 */
export const conditionsSchema = z.array(conditionSchema).min(1);

/** Conditions that show the end of a session, each of which may vouch that the request had no effect. */
export const expiredSchema = z
  .array(
    z
      .strictObject({
        ...shape,
        before_effect: z
          .boolean()
          .default(false)
          .describe('The backend looks like this only when it has done nothing: a write may be sent again'),
      })
      .refine(saysSomething, { message }),
  )
  .min(1);

/**
 * Where an answer gives the reason of a failure: JSON pointers (RFC 6901), which look into XML as well, and CSS selectors.
 */
export const saySchema = oneOrMore(
  z.string().superRefine((place, context) => {
    if (place === '' || pointer.safeParse(place).success) return;
    const problem = place.startsWith('/') ? 'is no JSON pointer' : selectorProblem(place);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  }),
);

/** A condition that shows the end of a session, as it is configured. */
export type Expired = z.infer<typeof expiredSchema>[number];
/** A condition as it is configured, with every value in a list. */
export type Condition = z.infer<typeof conditionSchema>;

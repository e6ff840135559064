// Where an answer has a value: in a cookie, a header, JSON, a form field, a <meta> or what a pattern matches; or in the text
// that another extraction has found, such as a page inside a JSON document.
import { z } from 'zod';
import { headerName, pattern, pointer } from './condition.ts';

/** An extraction that finds one text. Written out, because it is part of itself. */
export type Found =
  | { cookie: string }
  | { header: string }
  | { json: string; in?: Found | undefined }
  | { form_field: string; in?: Found | undefined }
  | { meta: string; in?: Found | undefined }
  | { regex: string; header?: string | undefined; in?: Found | undefined };

/** Where the text comes from that is looked into. Read late, since the schema is part of itself. */
const within = {
  in: z
    .lazy((): z.ZodType<Found> => foundSchema)
    .optional()
    .describe('What is looked into: the text that this one finds; default: the answer'),
};

const foundSchemas = [
  z.strictObject({ cookie: z.string() }),
  z.strictObject({ header: headerName }),
  z.strictObject({ json: pointer, ...within }),
  z.strictObject({ form_field: z.string().describe('Value of the first <input> of this name'), ...within }),
  z.strictObject({ meta: z.string().describe('Content of <meta name="…">'), ...within }),
  z
    .strictObject({
      regex: pattern(1).describe('Regular expression (RE2) with one group, which is the value'),
      header: headerName.optional().describe('Look in this header; default: the body'),
      ...within,
    })
    .refine(({ header, in: source }) => header === undefined || source === undefined, {
      path: ['in'],
      message: 'not with "header"',
    }),
] as const;
const foundSchema = z.union(foundSchemas);

/** Where an answer has a value, or the hidden fields of a page. */
export const extractSchema = z.union([
  ...foundSchemas,
  z.strictObject({
    hidden_fields: z
      .union([z.literal(true), z.string().min(1)])
      .describe(
        'All hidden fields of the page (true) or of the form with this id or name, for "hidden_fields" of a later request',
      ),
    ...within,
  }),
]);

/** An extraction as it is configured. */
export type Extraction = Found | { hidden_fields: true | string; in?: Found | undefined };

// A tool: what the client sees, and the one request to the backend it stands for.
import { z } from 'zod';
import { requestSchema } from './request-schema.ts';

const jsonSchema = z.record(z.string(), z.json());

export const toolSchema = z.strictObject({
  backend: z.string(),
  title: z.string().optional(),
  description: z.string().min(1),
  effect: z
    .enum(['read', 'write', 'destructive'])
    .describe('read may be repeated after a new login; write and destructive never are'),
  arguments: jsonSchema
    .default({ type: 'object', properties: {} })
    .describe(
      'JSON Schema (2020-12) of the arguments; properties it does not name are refused unless it says otherwise',
    ),
  request: requestSchema,
  result: z
    .strictObject({
      as: z.enum(['json', 'text']).default('json'),
      pointer: z
        .string()
        .regex(/^(\/.*)?$/, 'a JSON pointer')
        .default('')
        .describe('Part of a JSON answer to return'),
    })
    .prefault({}),
  audit: z
    .array(z.string())
    .default([])
    .describe('Arguments whose values may stand in the decision log; all others are erased'),
});

export type ToolConfig = z.infer<typeof toolSchema>;

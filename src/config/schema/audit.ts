// The part of connector.yaml about the decision log.
import { z } from 'zod';

const rotate = z
  .strictObject({
    size_mb: z.number().positive().optional().describe('A file of this size is sealed, and a new one begins'),
    age_hours: z.number().positive().optional().describe('So is a file of this age'),
    budget_mb: z
      .number()
      .positive()
      .optional()
      .describe(
        'Most that all files of this log may take; then the oldest are removed, and where none may be, calls are refused',
      ),
    keep_at_least: z
      .strictObject({ days: z.number().positive() })
      .optional()
      .describe('What is younger is never removed'),
  })
  .refine(({ size_mb, age_hours }) => size_mb !== undefined || age_hours !== undefined, {
    message: 'give "size_mb", "age_hours" or both',
  })
  .refine(({ budget_mb, keep_at_least }) => (budget_mb === undefined) === (keep_at_least === undefined), {
    message: '"budget_mb" removes old files, so "keep_at_least" belongs to it, and says nothing without it',
  })
  .refine(({ size_mb, budget_mb }) => size_mb === undefined || budget_mb === undefined || size_mb <= budget_mb / 2, {
    message: '"size_mb" is at most half of "budget_mb": of a single file nothing can be removed',
  });

export const auditSchema = z.strictObject({
  to: z
    .enum(['file', 'stdout', 'both'])
    .default('file')
    .describe('Where records are written; a call goes on when they are there'),
  file: z
    .string()
    .optional()
    .describe('Log of the decisions and of how calls ended; default: decisions.jsonl in state_dir'),
  rotate: rotate.optional().describe('Rotation of its own; default: none, and nothing is ever removed'),
  events: z
    .strictObject({
      file: z.string().optional().describe('Log of events and alerts; default: events.jsonl beside "file"'),
      rotate: rotate.optional().describe('Its rotation; default: that of the decisions'),
    })
    .prefault({}),
  durability: z
    .enum(['disk', 'os'])
    .default('disk')
    .describe(
      'disk: a decision is on disk before the call is made (one write for all that wait); os: it is written only',
    ),
  keys_file: z
    .string()
    .optional()
    .describe('Keys that sign checkpoints; default: audit-keys.json in state_dir, made when there is none'),
  pseudonyms: z
    .strictObject({
      for: z
        .array(z.enum(['subject', 'address', 'user_agent']))
        .default([])
        .describe(
          'What is written as a keyed pseudonym in all records; a record is then no longer replayable as it is',
        ),
      file: z
        .string()
        .optional()
        .describe('Their keys; default: pseudonyms.json in state_dir. Replicas with a copy of it write the same ones'),
      days: z
        .int()
        .min(1)
        .max(3650)
        .default(90)
        .describe('How long a value keeps its pseudonym, for a file that is made'),
    })
    .prefault({})
    .describe('What is erased, and turns up in a parameter or a message, is written as a pseudonym in any case'),
  checkpoints: z
    .strictObject({
      records: z.int().min(1).max(1_000_000).default(1000).describe('A log is signed after so many records'),
      seconds: z.int().min(1).max(86_400).default(60).describe('It is also signed so often, if nothing happened too'),
      file: z
        .string()
        .optional()
        .describe('Each checkpoint is also appended here: a place that whoever can change the log cannot reach'),
      command: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .describe('Program and arguments that get each checkpoint on standard input'),
    })
    .prefault({}),
});

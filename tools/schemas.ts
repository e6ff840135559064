// Generates the published JSON Schemas from their one source in src/. `--check` only compares.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { apiSchema } from '../src/admin/api-schema.ts';
import { payloadSchema } from '../src/alerts/receivers/payload.ts';
import { recordSchema } from '../src/audit/record-schema.ts';
import { connectorSchema } from '../src/config/schema/connector.ts';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import { decisionSchema, inputSchema, listingSchema } from '../src/decision/schema.ts';
import { loadedSettingsSchema, settingsFileSchema } from '../src/decision/settings.ts';
import { STRICT_SIDE } from '../src/formats/json-schema.ts';
import { firstDifference, type Problem } from './problems.ts';

const PUBLISHED = [
  {
    file: 'policies/schemas/input.json',
    title: 'Sallyport decision input, version 1',
    schema: inputSchema,
    io: 'output',
  },
  {
    file: 'policies/schemas/listing.json',
    title: 'Sallyport listing input, version 1: what tools/list asks the policy',
    schema: listingSchema,
    io: 'output',
  },
  {
    file: 'policies/schemas/decision.json',
    title: 'Sallyport decision, version 1',
    schema: decisionSchema,
    io: 'output',
  },
  {
    file: 'policies/schemas/settings.json',
    title: 'Sallyport policy settings, as policies read them',
    schema: loadedSettingsSchema,
    io: 'output',
  },
  {
    file: 'policies/schemas/data.json',
    title: 'Sallyport policy settings (data.yaml)',
    schema: z.strictObject({ settings: settingsFileSchema }),
    io: 'input',
  },
  {
    file: 'docs/api.schema.json',
    title: 'Sallyport admin API, version 1: each path and its answer',
    schema: apiSchema,
    io: 'output',
  },
  {
    file: 'docs/alert.schema.json',
    title: 'Sallyport alert, version 1: what webhooks, collectors and commands get',
    schema: payloadSchema,
    io: 'output',
  },
  { file: 'docs/record.schema.json', title: 'Sallyport decision log, form 2', schema: recordSchema, io: 'output' },
  { file: 'docs/connector.schema.json', title: 'Sallyport connector.yaml', schema: connectorSchema, io: 'input' },
] as const;

/** The text of each published schema, by its path. OPA reads draft 7. */
function generate(): Map<string, string> {
  return new Map(
    PUBLISHED.map(({ file, title, schema, io }) => {
      const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io, override: adjust });
      return [file, `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`];
    }),
  );
}

/** Formats of JSON Schema (draft 7) that are used here. */
const FORMATS = new Set(['date', 'date-time', 'email', 'hostname', 'ipv4', 'ipv6', 'regex', 'time', 'uri', 'uuid']);

interface Generated {
  type?: unknown;
  anyOf?: { type?: string }[];
  [key: string]: unknown;
}

/**
 * zod bounds every integer by what a double can hold, which tells a reader nothing. And OPA's type
 * checker takes `anyOf: [object, null]` for "anything", which hides a typo behind it, and
 * `anyOf: [boolean, null]` for "boolean", which refuses a comparison with null. The forms here mean
 * the same to a validator and the right thing to OPA.
 */
function adjust({ jsonSchema }: { jsonSchema: object }): void {
  const schema = jsonSchema as Generated;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  // Validators refuse words that they do not know, so what zod and we have of our own is told in words.
  if (typeof schema.format === 'string' && !FORMATS.has(schema.format)) delete schema.format;
  const side = schema[STRICT_SIDE];
  if (side !== undefined) {
    delete schema[STRICT_SIDE];
    schema.description = [schema.description, `Strict side: ${String(side)}.`].filter(Boolean).join(' ');
  }
  const [value, nothing] = schema.anyOf ?? [];
  if (nothing?.type !== 'null' || schema.anyOf?.length !== 2) return;
  if (value?.type === 'object') {
    delete schema.anyOf;
    Object.assign(schema, value, { type: ['object', 'null'] });
  } else if (value?.type === 'boolean') {
    delete schema.anyOf;
    schema.enum = [true, false, null];
  }
}

export function checkSchemas(root = PACKAGE_ROOT): Problem[] {
  return [...generate()].flatMap(([file, text]) => {
    const path = join(root, file);
    const committed = existsSync(path) ? readFileSync(path, 'utf8') : '';
    return committed === text
      ? []
      : [
          {
            file,
            line: firstDifference(committed, text),
            path: '',
            message: 'differs from its source in src/; run: npx tsx tools/schemas.ts',
          },
        ];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [file, text] of generate()) {
    const path = join(PACKAGE_ROOT, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(relative('', path));
  }
}

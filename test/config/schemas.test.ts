// Editors and validators read the published schemas, and refuse words that are not of JSON Schema.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { filesBelow } from '../support/files.ts';

const published = [...filesBelow('policies/schemas'), ...filesBelow('docs')].filter((file) => file.endsWith('.json'));

it.each(published)('%s has standard keywords and formats only', (file) => {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true });
  formats.default(ajv);
  expect(() => ajv.compile(JSON.parse(readFileSync(join(PACKAGE_ROOT, file), 'utf8')))).not.toThrow();
});

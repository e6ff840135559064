// What OPA itself finds: syntax, strictness, types against the schemas, functions that WASM does not have, format. Its
// hints are handed on.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Opa } from '../opa.ts';
import { opaRun } from '../run/opa.ts';
import { type Stage, TYPES_FILE } from '../run/stage.ts';
import { type GateFinding, nearest, oneOf } from './finding.ts';

interface OpaError {
  message: string;
  code?: string;
  location?: { file: string; row: number };
  details?: { have?: unknown; oneOf?: string[]; ref?: { value: unknown }[]; pos?: number; line?: string };
}

/** Checks the sources of a stage, without its tests. */
export async function opaProblems(stage: Stage, opa: Opa): Promise<GateFinding[]> {
  const options = ['check', '--strict', '--format', 'json', '--max-errors', '0'];
  if (existsSync(join(stage.dir, 'capabilities.json'))) options.push('--capabilities', 'capabilities.json');
  if (existsSync(join(stage.dir, 'schemas'))) options.push('-s', 'schemas');
  const text = await opaRun(opa, stage.dir, [...options, ...stage.roots, TYPES_FILE], true);
  const errors = text.trim() === '' ? [] : ((JSON.parse(text) as { errors?: OpaError[] }).errors ?? []);
  const problems = errors.map(
    (error): GateFinding => ({
      file: stage.original(error.location?.file ?? ''),
      line: error.location?.row ?? 0,
      path: '',
      message: explain(error),
      rule: 'type',
      level: 'error',
    }),
  );
  if (problems.length > 0) return problems;
  const unformatted = (await opaRun(opa, stage.dir, ['fmt', '--list', ...stage.roots])).split('\n').filter(Boolean);
  return unformatted.map((file) => ({
    file: stage.original(file),
    line: 1,
    path: '',
    message: `is not formatted; run: opa fmt --write ${stage.original(file)}`,
    rule: 'format',
    level: 'error',
  }));
}

/** The message of OPA with what it knows besides. */
function explain({ message, code, details }: OpaError): string {
  const name = `${code ?? 'error'}: ${message}`;
  if (/input\.tools\b/.test(message))
    return `${name}: a rule about tools/list says so in its METADATA: scope: rule, schemas: [{input: schema.listing}]`;
  if (!details?.oneOf)
    return code === 'rego_type_error' && /undefined function/.test(message)
      ? `${name} (there is none of this name in WASM)`
      : name;
  const { ref = [], pos = ref.length - 1, oneOf: names } = details;
  const have = String(ref[pos]?.value ?? '');
  const meant = nearest(have, names);
  return `${name}${meant ? ` (did you mean "${meant}"?)` : ''}; want one of: ${oneOf(names)}`;
}

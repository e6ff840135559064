// Parameters of an operation that a request template can say.
import { isObject } from '../formats/json.ts';
import type { Loose, OpenApiDocument } from './document.ts';

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  schema: unknown;
  description: string | undefined;
}

/** Set by the connector, or described by the specification as to be ignored here. */
const OTHERS_SET =
  /^(accept|content-type|authorization|host|cookie|content-length|connection|transfer-encoding|expect|te|trailer|upgrade|accept-encoding|keep-alive|proxy-.*)$/i;

/** The list, or why the operation cannot be called without what cannot be said. */
export function readParameters(
  shared: unknown,
  own: unknown,
  document: OpenApiDocument,
  notes: string[],
): Parameter[] | string {
  const all = new Map<string, Loose>();
  for (const item of [...(Array.isArray(shared) ? shared : []), ...(Array.isArray(own) ? own : [])]) {
    const parameter = document.resolve(item);
    if (parameter) all.set(`${parameter.in} ${parameter.name}`, parameter);
  }
  const parameters: Parameter[] = [];
  for (const parameter of all.values()) {
    const name = String(parameter.name);
    const problem = problemOf(parameter, document);
    if (problem === 'ignored') continue;
    if (problem !== undefined) {
      if (parameter.required === true || parameter.in === 'path') return `the parameter "${name}" ${problem}`;
      notes.push(`the parameter "${name}" ${problem}, and is left out`);
      continue;
    }
    parameters.push({
      name,
      in: parameter.in as Parameter['in'],
      required: parameter.required === true || parameter.in === 'path',
      schema: parameter.schema,
      description: typeof parameter.description === 'string' ? parameter.description : undefined,
    });
  }
  return parameters;
}

function problemOf(parameter: Loose, document: OpenApiDocument): string | undefined {
  const { in: place, style, explode, content } = parameter;
  const name = String(parameter.name);
  if (place === 'header' && OTHERS_SET.test(name)) return 'ignored';
  if (place === 'cookie') return 'is a cookie, which belongs to the session';
  if (place !== 'path' && place !== 'query' && place !== 'header') return `stands in "${String(place)}"`;
  if (isObject(content)) return 'is given as a document of its own ("content")';
  if (style === 'matrix' || style === 'label') return `is written in the style "${style}"`;
  const schema = document.resolve(parameter.schema) ?? {};
  const types = [schema.type].flat();
  if (types.includes('object') || isObject(schema.properties)) return 'is an object';
  if (!types.includes('array')) return undefined;
  if (place !== 'query') return 'is a list in a place that has one value';
  if ((style !== undefined && style !== 'form') || explode === false) return 'is a list in one value';
  const items = document.resolve(schema.items);
  return items && [items.type].flat().some((type) => type === 'object' || type === 'array')
    ? 'is a list of objects'
    : undefined;
}

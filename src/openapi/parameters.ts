// Reads the parameters of an operation, and sorts out those that a request template cannot express.
import { isObject } from '../formats/json.ts';
import type { Loose, OpenApiDocument } from './document.ts';

/** A parameter that becomes an argument of the tool. `schema` is as in the document, unchecked. */
export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  schema: unknown;
  description: string | undefined;
}

/** Headers that the connector sets itself, or that OpenAPI says to ignore when they are described as parameters. */
const OTHERS_SET =
  /^(accept|content-type|authorization|host|cookie|content-length|connection|transfer-encoding|expect|te|trailer|upgrade|accept-encoding|keep-alive|proxy-.*)$/i;

/**
 * The parameters, or why the operation cannot become a tool: a required parameter that no template can express. An
 * optional one is left out, and `notes` gets a line about it. `own` ones replace `shared` ones of the same place
 * and name.
 */
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

// Whether a record still holds what a policy may read. What it no longer holds is undecidable, and never guessed.
import { pointerOf, pointerTokens } from '../../formats/json.ts';
import type { Reads } from '../versions/ask.ts';
import type { DecisionRecord } from './record.ts';

/** Answers what is missing that the policy may read, as a path below the input; undefined where the record holds enough. */
export type Missing = (record: Pick<DecisionRecord, 'erased' | 'masked' | 'input'>) => string | undefined;

const ARGUMENTS = 'tool.arguments';
/** Kinds of records are few: those of a tool miss the same. */
const MOST_KNOWN = 1000;

/** Makes the question for one policy. */
export function missingFor(reads: Reads): Missing {
  const known = new Map<string, string | undefined>();
  return ({ erased, masked, input }) => {
    if (erased.length + masked.length === 0) return undefined;
    const tool = input.tool.name;
    const key = JSON.stringify([tool, erased, masked]);
    if (known.has(key)) return known.get(key);
    const missing = [...erased, ...masked].map(pathOf).find((path) => path !== undefined && isRead(reads, path, tool));
    if (known.size >= MOST_KNOWN) known.clear();
    const shown = missing && (missing.some((name) => name.includes('.')) ? pointerOf(missing) : missing.join('.'));
    known.set(key, shown);
    return shown;
  };
}

/** The path below the input; undefined for what is missing of the result, which no policy reads. */
function pathOf(pointer: string): string[] | undefined {
  const [root, ...path] = pointerTokens(pointer);
  return root === 'input' ? path : undefined;
}

function isRead({ arguments: args, input }: Reads, path: readonly string[], tool: string): boolean {
  const [first, second, name] = path;
  if (first === 'tool' && second === 'arguments' && name !== undefined) {
    if (!args) return true;
    return ['*', name].some((each) => {
      const tools = Object.hasOwn(args, each) ? args[each] : undefined;
      return tools !== undefined && (tools.length === 0 || tools.includes(tool));
    });
  }
  if (!input) return true;
  const asked = path.join('.');
  if (asked === ARGUMENTS) return true;
  return input.some(
    (read) =>
      read === '' || asked === '' || read === asked || asked.startsWith(`${read}.`) || read.startsWith(`${asked}.`),
  );
}

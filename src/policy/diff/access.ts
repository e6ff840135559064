// What a client of each role may now call that it could not, or no longer, and what it gets otherwise: the access matrices of two
// policies, compared.
import { canonicalJson } from '../../formats/json.ts';
import type { AccessMatrix, Cell } from '../matrix/ask.ts';
import { cellWords } from '../matrix/text.ts';

export interface AccessChange {
  /** Names of what happened, as `--fail-on` takes them. */
  kinds: ('access-added' | 'access-lost' | 'access-changed' | 'mask-lost' | 'mask-added')[];
  role: string;
  tool: string;
  /** In words: "no", "yes", "with scope stock:write; without /price". */
  before: string;
  after: string;
}

/** Both matrices are about the same tools and roles. */
export function accessChanges(before: AccessMatrix, after: AccessMatrix): AccessChange[] {
  return after.tools.flatMap(({ name: tool }) =>
    after.roles.flatMap((role): AccessChange[] => {
      const [was, is] = [before.cells.get(tool)?.get(role), after.cells.get(tool)?.get(role)];
      if (!was || !is || canonicalJson(compared(was)) === canonicalJson(compared(is))) return [];
      return [{ kinds: kindsOf(was, is), role, tool, before: words(was), after: words(is) }];
    }),
  );
}

/** Of a call that is denied either way, the reason is a matter of the rules. */
const compared = ({ outcome, needs, trims }: Cell) => ({ outcome, needs, trims });

function kindsOf(was: Cell, is: Cell): AccessChange['kinds'] {
  if (was.outcome === 'deny') return ['access-added'];
  if (is.outcome === 'deny') return ['access-lost'];
  const kinds: AccessChange['kinds'] = [];
  const masks = (cell: Cell) => cell.trims.filter((trim) => trim.startsWith('without '));
  if (masks(was).some((mask) => !is.trims.includes(mask))) kinds.push('mask-lost');
  if (masks(is).some((mask) => !was.trims.includes(mask))) kinds.push('mask-added');
  const [a, b] = [was, is].map((cell) =>
    canonicalJson({ ...compared(cell), trims: cell.trims.filter((trim) => !masks(cell).includes(trim)) }),
  );
  if (a !== b) kinds.push('access-changed');
  return kinds;
}

function words(cell: Cell): string {
  const said = cellWords(cell);
  return said === undefined ? 'no' : said === '' ? 'yes' : said;
}

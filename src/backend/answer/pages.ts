// Reads a list that the backend gives in pages. The number of pages is limited, and a result that was cut off by
// the limit says so with `complete: false`.
import type { PagesConfig } from '../../config/schema/tool.ts';
import { atPointer, type Json } from '../../formats/json.ts';

/** One page: its document, or how the call ended without one. */
export type PageOf<Ended> = { ok: true; document: Json } | { ok: false; ended: Ended };

/** All items, or how the call ended, or what is wrong with a page. `complete`: there are no further pages. */
export type Pages<Ended> =
  | { ok: true; value: { items: Json[]; complete: boolean } }
  | { ok: false; ended: Ended }
  | { ok: false; problem: string };

type Counted = Exclude<PagesConfig['by'], 'cursor'>;

/** Where counting begins when the configuration does not say. */
const FIRST: Record<Counted, number> = { number: 1, offset: 0 };
/** How far the next page is: the next number, or as many items as this one has or should have. */
const STEP: Record<Counted, (size: number | undefined, items: number) => number> = {
  number: () => 1,
  offset: (size, items) => size ?? items,
};

/** `fetch` gets what stands for "{page}" in the request; undefined for the first page of a list with cursors. */
export async function readPages<Ended>(
  { by, first, size, cursor, items: listAt, most }: PagesConfig,
  fetch: (page: string | number | undefined) => Promise<PageOf<Ended>>,
): Promise<Pages<Ended>> {
  const items: Json[] = [];
  const seen = new Set<string | number>();
  let page: string | number | undefined = by === 'cursor' ? undefined : (first ?? FIRST[by]);
  for (let read = 0; read < most; read++) {
    const result = await fetch(page);
    if (!result.ok) return result;
    const list = atPointer(result.document, listAt);
    if (!Array.isArray(list)) return { ok: false, problem: `no list at ${listAt || 'the root'} of page ${read + 1}` };
    for (const item of list as Json[]) items.push(item);
    if (by === 'cursor') {
      const next = atPointer(result.document, cursor ?? '');
      if (next === undefined || next === null || next === '') return { ok: true, value: { items, complete: true } };
      if (typeof next !== 'string' && typeof next !== 'number') return { ok: false, problem: 'the cursor is no text' };
      // A cursor that was given before would lead through the same pages again and repeat their items.
      if (seen.has(next)) return { ok: false, problem: 'the cursor does not move' };
      seen.add(next);
      page = next;
    } else {
      if (list.length === 0 || (size !== undefined && list.length < size))
        return { ok: true, value: { items, complete: true } };
      page = (page as number) + STEP[by](size, list.length);
    }
  }
  return { ok: true, value: { items, complete: false } };
}

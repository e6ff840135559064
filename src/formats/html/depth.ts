// Pages that nest deeper than any browser shows. Whoever can store HTML in the application can write one, and must neither
// stop the connector, which takes time that grows with the square of the depth, nor make the page unreadable.
import { Tokenizer } from 'htmlparser2';

/** The page nests deeper than it is read, also without the tags that are too deep. */
export class PageTooDeepError extends Error {
  override readonly name = 'PageTooDeepError';
}

/** Elements that have no content, and so no depth. */
const VOID = new Set('area base br col embed hr img input link meta source track wbr'.split(' '));

/**
 * Reads a page with `read`, which throws a PageTooDeepError beyond a depth of `deepest`. Then it is read once more without
 * the tags that are too deep, as browsers do, whose content stays.
 */
export function readAtMost<T>(html: string, deepest: number, read: (html: string) => T): T {
  try {
    return read(html);
  } catch (thrown) {
    if (thrown instanceof PageTooDeepError) return read(shallow(html, deepest));
    throw thrown;
  }
}

/**
 * The page without the tags beyond that depth. An end tag counts only where one of its name is open, so that the depth
 * counted here is never less than that of a parser.
 */
function shallow(html: string, deepest: number): string {
  const open = new Map<string, number>();
  let depth = 0;
  let kept = '';
  let at = 0;
  let from = 0;
  let name = '';
  const cut = (to: number) => {
    kept += html.slice(at, from);
    at = to;
  };
  const count = (by: number) => {
    open.set(name, (open.get(name) ?? 0) + by);
    depth += by;
  };
  const openTag = (end: number) => {
    if (VOID.has(name)) return;
    count(1);
    if (depth >= deepest) cut(end + 1);
  };
  const nothing = () => {};
  const tokenizer = new Tokenizer(
    { decodeEntities: false },
    {
      onopentagname(start, end) {
        from = start - 1;
        name = html.slice(start, end).toLowerCase();
      },
      onopentagend: openTag,
      onselfclosingtag: openTag,
      onclosetag(start, end) {
        from = html.lastIndexOf('<', start);
        name = html.slice(start, end).toLowerCase();
        if ((open.get(name) ?? 0) === 0) return;
        if (depth >= deepest) cut(html.indexOf('>', end) + 1 || html.length);
        count(-1);
      },
      ...{ onattribdata: nothing, onattribentity: nothing, onattribend: nothing, onattribname: nothing },
      ...{ oncdata: nothing, oncomment: nothing, ondeclaration: nothing, onend: nothing },
      ...{ onprocessinginstruction: nothing, ontext: nothing, ontextentity: nothing },
    },
  );
  tokenizer.write(html);
  tokenizer.end();
  return kept + html.slice(at);
}

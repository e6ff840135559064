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
    // An element without content, and one that an end tag alone makes, stand one deeper for a moment.
    if (thrown instanceof PageTooDeepError) return read(shallow(html, deepest - 2));
    throw thrown;
  }
}

/** Stands where a tag was, so that what is left of it and right of it does not become a tag together. */
const CUT = '<!---->';

/**
 * The page without the tags beyond that depth. Open tags are counted by name, and an end tag counts only where one of its
 * name is open: so the depth counted here is never less than that of a parser, whichever tags end each other there.
 */
function shallow(html: string, deepest: number): string {
  const open = new Map<string, number>();
  const gone = new Map<string, number>();
  let depth = 0;
  let kept = '';
  let at = 0;
  let from = 0;
  let name = '';
  const cut = (to: number) => {
    kept += html.slice(at, from) + CUT;
    at = to;
  };
  const add = (to: Map<string, number>, by: number) => to.set(name, (to.get(name) ?? 0) + by);
  const openTag = (end: number) => {
    if (VOID.has(name)) return;
    if (depth >= deepest) {
      add(gone, 1);
      return cut(end + 1);
    }
    add(open, 1);
    depth += 1;
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
        if ((gone.get(name) ?? 0) > 0) {
          add(gone, -1);
          cut(html.indexOf('>', end) + 1 || html.length);
        } else if ((open.get(name) ?? 0) > 0) {
          add(open, -1);
          depth -= 1;
        }
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

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

/** Elements whose content is not read as tags, or not seen at all: they go as a whole. */
const WHOLE = new Set(
  'script style title template noscript noembed noframes iframe object xmp plaintext head'.split(' '),
);

/** In drawings and formulas other rules hold for tags. Without their own tags, one set of rules holds for all of the page. */
const FOREIGN = /<\/?(?:svg|math)\b[^>]*>/gi;

const nothing = () => {};
/** What else a tokenizer tells. */
const UNHEARD = {
  ...{ onattribdata: nothing, onattribentity: nothing, onattribend: nothing, onattribname: nothing },
  ...{ oncdata: nothing, oncomment: nothing, ondeclaration: nothing, onend: nothing },
  ...{ onprocessinginstruction: nothing, ontext: nothing, ontextentity: nothing },
};

/** Stands where a tag was, so that what is left of it and right of it does not become a tag together. */
const CUT = '<!---->';

/**
 * The page without the tags beyond that depth. Open tags are counted by name, and an end tag counts only where one of its
 * name is open: so the depth counted here is never less than that of a parser, whichever tags end each other there.
 */
function shallow(page: string, deepest: number): string {
  const html = page.replace(FOREIGN, ' ');
  const open = new Map<string, number>();
  const gone = new Map<string, number>();
  let depth = 0;
  let kept = '';
  let at = 0;
  let from = 0;
  let name = '';
  /** Where the content of a textarea begins whose tag is too deep. */
  let area: number | undefined;
  const cut = (to: number) => {
    kept += html.slice(at, from) + CUT;
    at = to;
  };
  const add = (to: Map<string, number>, by: number) => to.set(name, (to.get(name) ?? 0) + by);
  /** The element that goes as a whole, where it began, and how many of its name are open in it. */
  let whole: { name: string; from: number; open: number } | undefined;
  const openTag = (end: number) => {
    if (whole) {
      if (name === whole.name) whole.open += 1;
      return;
    }
    if (VOID.has(name)) return;
    if (depth >= deepest) {
      if (WHOLE.has(name)) {
        whole = { name, from, open: 1 };
        return;
      }
      if (name === 'textarea') area = end + 1;
      add(gone, 1);
      return cut(end + 1);
    }
    add(open, 1);
    depth += 1;
  };
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
        const after = html.indexOf('>', end) + 1 || html.length;
        if (whole) {
          if (name !== whole.name || --whole.open > 0) return;
          from = whole.from;
          whole = undefined;
          cut(after);
        } else if ((gone.get(name) ?? 0) > 0) {
          add(gone, -1);
          // Tags that somebody has written into a field are text, and stay that.
          if (name === 'textarea' && area !== undefined) {
            kept += html.slice(at, area) + html.slice(area, from).replaceAll('<', '&lt;');
            at = from;
            area = undefined;
          }
          cut(after);
        } else if ((open.get(name) ?? 0) > 0) {
          add(open, -1);
          depth -= 1;
        }
      },
      ...UNHEARD,
    },
  );
  tokenizer.write(html);
  tokenizer.end();
  // What was never closed goes to the end of the page.
  const rest = html.slice(at, whole?.from);
  return kept + (area === undefined ? rest : rest.replaceAll('<', '&lt;'));
}

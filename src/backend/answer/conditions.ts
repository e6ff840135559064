// Tells whether an answer of the backend fulfils a condition of the configuration.
import type { Condition } from '../../config/schema/condition.ts';
import { formFields } from '../../formats/html/fields.ts';
import { atPointer } from '../../formats/json.ts';
import { pattern } from '../../formats/pattern.ts';
import type { BackendResponse } from '../http/response.ts';

/** Whether at least one of the conditions holds. False for none. `base`: the URL of the backend. */
export const anyHolds = (
  conditions: readonly Condition[] | undefined,
  response: BackendResponse,
  base: URL,
  text = false,
): boolean => conditions?.some((condition) => holds(condition, response, base, text)) === true;

/**
 * Whether everything that the condition names holds. Cheap checks come first, so that a body is parsed only when
 * the answer depends on it. `text`: the tool asks for text or bytes, so that plain text is content. Throws a
 * PageTooDeepError.
 */
export function holds(condition: Condition, response: BackendResponse, base: URL, text = false): boolean {
  const { status, redirect_to, header, body_contains, body_matches, form_field, json, json_has, json_lacks } =
    condition;
  if (status && !status.includes(response.status)) return false;
  if (redirect_to && !redirect_to.some((path) => leadsTo(response, path, base))) return false;
  for (const [name, value] of Object.entries(header ?? {})) {
    if (!response.headers(name).some((given) => pattern(value).matches(given))) return false;
  }
  if (body_contains && !body_contains.some((text) => response.body.includes(text))) return false;
  if (body_matches && !body_matches.some((source) => pattern(source).matches(response.body))) return false;
  if (form_field && !hasField(response, form_field)) return false;
  if (!json && !json_has && !json_lacks) return true;
  const document = isDocument(response, text) ? response.document : undefined;
  if (document === undefined) return false;
  for (const [at, values] of Object.entries(json ?? {}))
    if (!(values as unknown[]).includes(atPointer(document, at))) return false;
  if (json_has?.some((at) => atPointer(document, at) === undefined)) return false;
  return !json_lacks?.some((at) => atPointer(document, at) !== undefined);
}

/**
 * Whether an answer is a page of the application. A mail or a file that has the same words in it is content, which other
 * people write. Backends that send a page under no type, or under that of the answer that was expected, exist.
 */
export function isPage(response: BackendResponse): boolean {
  const type = mediaTypeOf(response);
  if (isAttachment(response)) return false;
  if (type === 'text/html' || type === 'application/xhtml+xml') return true;
  if (type !== '' && !/json|xml|javascript/.test(type)) return false;
  return (type.includes('xml') ? XHTML : /^\ufeff?\s*</).test(response.body.slice(0, BEGINNING));
}

/** XML that is a page after all: its prolog and comments come first. */
const XHTML = /^\ufeff?(?:\s|<\?[^>]*\?>|<!--(?:(?!-->)[\s\S])*-->)*<(?:!doctype\s+html|html)\b/i;
const BEGINNING = 4096;

/**
 * Whether an answer is a document of the application. A file is content. So is plain text where the tool asks for text; for
 * others some backends send their JSON under that type.
 */
function isDocument(response: BackendResponse, text: boolean): boolean {
  const type = mediaTypeOf(response);
  if (isAttachment(response) || (text && type === 'text/plain')) return false;
  return !/^(?:image|audio|video|font)\/|^application\/(?:octet-stream|pdf|zip|x-.*)$|^text\/csv$/.test(type);
}

const isAttachment = (response: BackendResponse): boolean =>
  /^\s*attachment/i.test(response.header('content-disposition') ?? '');

/** The type of an answer without its parameters, in lower case; "" for none. Some put a comma before these. */
export const mediaTypeOf = ({ contentType }: BackendResponse): string =>
  contentType
    .trim()
    .split(/[;,\s]/, 1)[0]
    ?.toLowerCase() ?? '';

function hasField(response: BackendResponse, names: readonly string[]): boolean {
  if (!isPage(response)) return false;
  const fields = fieldsOf(response);
  return names.some((name) => fields.has(name));
}

/** A text, and what it is as JSON. */
export type Source = Pick<BackendResponse, 'body' | 'document'>;

const parsed = new WeakMap<Source, Map<string, string>>();

/** Form fields of a page by name. A page is parsed once, however many conditions ask. Throws a PageTooDeepError. */
export function fieldsOf(source: Source): Map<string, string> {
  const known = parsed.get(source) ?? formFields(source.body);
  parsed.set(source, known);
  return known;
}

/**
 * Where a redirect leads: the path below the backend's URL, and the query. Undefined when the answer is no redirect
 * or leads to another host. A backend behind a proxy often names itself with another scheme and therefore another
 * port; that is accepted as the backend itself, because no redirect is ever followed.
 */
export function redirectTarget(
  { status, location }: BackendResponse,
  base: URL,
): { path: string; query: string } | undefined {
  if (status < 300 || status >= 400 || location === undefined || !URL.canParse(location, base.href)) return undefined;
  const target = new URL(location, base.href);
  const samePort = target.port === base.port || target.protocol !== base.protocol;
  if (target.hostname !== base.hostname || !samePort) return undefined;
  const prefix = base.pathname.replace(/\/$/, '');
  const below = prefix !== '' && (target.pathname === prefix || target.pathname.startsWith(`${prefix}/`));
  return { path: below ? target.pathname.slice(prefix.length) || '/' : target.pathname, query: target.search };
}

/**
 * "/login" fits "/login", "/login/x" and "/login;jsessionid=…", but not "/loginhelp". "/order?id=0" fits where the query has
 * that parameter with that value, whatever else is in it.
 */
function leadsTo(response: BackendResponse, wanted: string, base: URL): boolean {
  const target = redirectTarget(response, base);
  if (target === undefined) return false;
  const [prefix = '', query] = wanted.split(/\?(.*)/s);
  const given = new URLSearchParams(target.query);
  if (
    query !== undefined &&
    ![...new URLSearchParams(query)].every(([name, value]) => given.getAll(name).includes(value))
  )
    return false;
  const { path } = target;
  // "/" means the root page alone: as a prefix it would fit every path.
  if (prefix === '/') return path === '/' || path.startsWith('/;');
  const bare = prefix.replace(/\/$/, '');
  return path === bare || path === prefix || [`${bare}/`, `${bare};`].some((start) => path.startsWith(start));
}

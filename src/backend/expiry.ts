// How the end of a session looks. Decided before an answer is read as data.
import type { BackendConfig } from '../config/backend-schema.ts';
import { formFields } from './html.ts';
import type { BackendResponse } from './http.ts';

export type Kind = 'data' | 'expired' | 'redirect' | 'redirect_elsewhere';

export function classify(response: BackendResponse, config: BackendConfig, base: URL): Kind {
  const { expired } = config;
  if (expired.status?.includes(response.status)) return 'expired';
  if (response.status >= 300 && response.status < 400 && response.location !== undefined) {
    const target = resolve(response.location, base);
    if (!target || target.origin !== base.origin) return 'redirect_elsewhere';
    const path = stripPrefix(target.pathname, base.pathname);
    return expired.redirect_to?.some((login) => isBelow(path, login)) ? 'expired' : 'redirect';
  }
  if (expired.body_contains?.some((mark) => response.body.includes(mark))) return 'expired';
  // A page need not say that it is HTML; only what says JSON, and looks like it, is taken for it.
  const isJson = /json/i.test(response.contentType) && !response.body.trimStart().startsWith('<');
  if (expired.form_field && !isJson) {
    const fields = formFields(response.body);
    if (expired.form_field.some((name) => fields.has(name))) return 'expired';
  }
  return 'data';
}

/** Whether a Location header leads to a path on the backend itself. */
export function leadsTo(location: string | undefined, path: string, base: URL): boolean {
  const target = location === undefined ? undefined : resolve(location, base);
  return target?.origin === base.origin && isBelow(stripPrefix(target.pathname, base.pathname), path);
}

function resolve(location: string, base: URL): URL | undefined {
  return URL.canParse(location, base.href) ? new URL(location, base.href) : undefined;
}

/** "/login", "/login/x" and "/login;jsessionid=…", but not "/loginhelp". */
function isBelow(path: string, prefix: string): boolean {
  const bare = prefix.replace(/\/$/, '');
  return path === bare || path === prefix || [`${bare}/`, `${bare};`].some((start) => path.startsWith(start));
}

const stripPrefix = (path: string, basePath: string): string => {
  const base = basePath.replace(/\/$/, '');
  return base !== '' && path.startsWith(base) ? path.slice(base.length) || '/' : path;
};

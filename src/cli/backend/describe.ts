// What `sallyport backend check` shows of steps, answers and results: names, lengths and statuses, never a value.
import { fieldsOf, isPage } from '../../backend/answer/conditions.ts';
import type { BackendResponse } from '../../backend/http/response.ts';
import type { BackendTokenSecret, CallResult } from '../../backend/port.ts';
import type { StepReport } from '../../backend/session/login.ts';
import { pageTitle } from '../../formats/html/fields.ts';
import { isObject } from '../../formats/json.ts';

/** One login step in a line: request, problem, answer, and the values it gave, by name and length. */
export function stepDetail(
  { step, response, values, problem }: StepReport,
  shown: (response: BackendResponse) => string,
): string {
  const parts = [
    step.request ? `${step.request.method} ${step.request.path}` : 'compose',
    problem,
    response && shown(response),
    ...values.map(([name, length]) => `${name} (${length} characters)`),
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}

/** What a session consists of, by name and length. */
export function kept(backendToken: BackendTokenSecret): string {
  const { cookies, values } = backendToken.reveal();
  const names = cookies.map((cookie) => `cookie ${(cookie as { key: string }).key}`);
  return [...names, ...Object.entries(values).map(([name, value]) => `${name} (${value.length} characters)`)].join(
    '; ',
  );
}

/** Describes an answer for the author of the configuration. `blank` removes the secrets from a text. */
export function looks(response: BackendResponse, blank: (text: string) => string): string {
  const { status, location, contentType, setCookies, bytes } = response;
  const parts = [`status ${status}`];
  if (location !== undefined) parts.push(`to ${location.replace(/[;?#].*$/s, '')}`);
  const type = contentType.split(';', 1)[0];
  if (bytes.length > 0) parts.push(`${type || 'no content type'}, ${bytes.length} bytes`);
  if (isObject(response.document)) parts.push(`members ${names(Object.keys(response.document))}`);
  else if (/<(html|form|title|body)\b/i.test(response.body)) parts.push(...looksOfPage(response, blank));
  const cookies = new Set(setCookies.map((line) => line.split('=', 1)[0] ?? ''));
  if (cookies.size > 0) parts.push(`sets ${names([...cookies])}`);
  parts.push(...notSpoken(response));
  return blank(parts.join(', '));
}

/** What no configuration makes the connector speak. */
function notSpoken(response: BackendResponse): string[] {
  const schemes = response.headers('www-authenticate').join(', ');
  const fields = fieldNames(response);
  const has = (pattern: RegExp) => fields.some((name) => pattern.test(name));
  return [
    ...(/\bnegotiate\b/i.test(schemes) ? ['asks for Negotiate (Kerberos), which is not spoken'] : []),
    ...(/\bntlm\b/i.test(schemes) ? ['asks for NTLM, which is not spoken'] : []),
    ...(has(/^SAML(Request|Response)$/i) || /[?&]SAMLRequest=/i.test(response.location ?? '')
      ? ['asks for SAML, which is spoken only where it is plain forms on this system']
      : []),
    ...(has(/^(otp|totp|mfa|2fa|two_?factor|one_?time|verification)[-_]?(code|token|password|pin)?$/i)
      ? ['asks for a second factor, which is not spoken: give the connector an account without one']
      : []),
  ];
}

function fieldNames(response: BackendResponse): string[] {
  try {
    return isPage(response) ? [...fieldsOf(response).keys()] : [];
  } catch {
    return [];
  }
}

function looksOfPage(response: BackendResponse, blank: (text: string) => string): string[] {
  try {
    const title = blank(pageTitle(response.body));
    const fields = [...fieldsOf(response).keys()];
    return [
      ...(title ? [`page "${title.slice(0, 80)}"`] : []),
      ...(fields.length > 0 ? [`fields ${names(fields)}`] : []),
    ];
  } catch {
    return ['a page that nests too deeply'];
  }
}

const names = (list: string[]): string => `${list.slice(0, 8).map(named).join(', ')}${list.length > 8 ? ', …' : ''}`;

/** Some backends use a random token as the name of a field or cookie; such a name is not shown. */
const named = (name: string): string =>
  /^[\w-]{20,}$/.test(name) && (name.match(/\d/g)?.length ?? 0) >= 4 ? '(a random name)' : name;

/** The shape of a result, without its values. */
export function shapeOf({ value, blob }: Extract<CallResult, { kind: 'ok' }>): string {
  if (blob) return `${blob.mediaType}, ${blob.base64.length} base64 characters`;
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (Array.isArray(value)) return `list of ${value.length}`;
  return isObject(value) ? `object with ${names(Object.keys(value)) || 'nothing'}` : typeof value;
}

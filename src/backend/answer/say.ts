// The backend's own reason for a refusal, such as "a group of that name already exists", from where the configuration says
// that it stands. Only this text of the answer leaves: cleaned, short, and without the secrets of the session.
import { printable } from '../../core/printable.ts';
import { textOf } from '../../formats/html/text.ts';
import { atPointer, isObject } from '../../formats/json.ts';
import { xmlToJson } from '../../formats/xml.ts';
import type { BackendResponse } from '../http/response.ts';
import { isPage } from './conditions.ts';
import { type Spelling, scrubText } from './scrub.ts';
import { holdsEncoded } from './views.ts';

/** Finds the reason in an answer. `secrets`: what must not occur in it. Undefined when there is none, or it holds one. */
export type Say = (response: BackendResponse, secrets: readonly Spelling[]) => string | undefined;

/** Longest reason, in characters. */
const LONGEST = 300;
const NESTING = 16;

/** `places`: JSON pointers (which also look into XML) and CSS selectors. The first that leads to a text counts. */
export function createSay(places: readonly string[]): Say {
  const finders = places.map((place) => (place === '' || place.startsWith('/') ? pointed(place) : selected(place)));
  return (response, secrets) => {
    for (const find of finders) {
      const found = readable(() => find(response));
      if (found === undefined) continue;
      const clean = scrubText(found, secrets);
      if (holdsEncoded(clean, secrets)) return undefined;
      const line = printable(clean.replace(/\s+/g, ' ').trim());
      if (line !== '') return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
    }
    return undefined;
  };
}

type Find = (response: BackendResponse) => string | undefined;

const pointed =
  (pointer: string): Find =>
  (response) => {
    const xml = /xml/i.test(response.contentType) && response.document === undefined;
    const document = xml ? xmlToJson(response.body, { nesting: NESTING }) : response.document;
    const texts = textsIn(atPointer(document, pointer), NESTING);
    return texts.length > 0 ? texts.join('; ') : undefined;
  };

function selected(selector: string): Find {
  const text = textOf([selector]);
  return (response) => (isPage(response) ? text(response.body) : undefined);
}

/** Validation errors come as lists and as objects: each text, after the name of the field that it is about. */
function textsIn(value: unknown, depth: number): string[] {
  if (typeof value === 'string') return value.trim() === '' ? [] : [value];
  if (typeof value === 'number' || typeof value === 'boolean') return [String(value)];
  if (depth === 0) return [];
  if (Array.isArray(value)) return value.slice(0, NESTING).flatMap((item) => textsIn(item, depth - 1));
  if (!isObject(value)) return [];
  return Object.entries(value)
    .slice(0, NESTING)
    .flatMap(([name, item]) => textsIn(item, depth - 1).map((text) => `${name}: ${text}`));
}

/** A page that cannot be read says nothing; the call has failed in any case. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

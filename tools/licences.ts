// Checks the licences of the dependencies in package-lock.json. A licence that is not on the list needs a decision by
// somebody; a licence that demands attribution must be named in NOTICE.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import type { Problem } from './problems.ts';

const FILE = 'package-lock.json';

/** These licences only demand that their text is kept, and the package keeps it. */
const PERMISSIVE = new Set([
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'Zlib',
  'BlueOak-1.0.0',
  'Unlicense',
]);
/** These licences may be used, but the package must be named in NOTICE. */
const NAMED = new Set(['MPL-2.0', 'PSF-2.0', 'Python-2.0']);

interface Lock {
  packages: Record<string, { license?: string }>;
}

export function checkLicences(root = PACKAGE_ROOT): Problem[] {
  const { packages } = JSON.parse(readFileSync(join(root, FILE), 'utf8')) as Lock;
  const notice = readFileSync(join(root, 'NOTICE'), 'utf8');
  return Object.entries(packages).flatMap(([path, { license }]) => {
    if (path === '') return [];
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const problem = (message: string): Problem[] => [{ file: FILE, line: 0, path: name, message }];
    if (license === undefined) return problem('says no licence; look at the package and decide');
    const choices = alternatives(license);
    if (choices.some((terms) => terms.every((term) => PERMISSIVE.has(term)))) return [];
    if (!choices.some((terms) => terms.every((term) => PERMISSIVE.has(term) || NAMED.has(term))))
      return problem(`is under ${license}, which tools/licences.ts does not know; decide, and name it there`);
    return named(notice, name) ? [] : problem(`is under ${license} and is not named in NOTICE`);
  });
}

/** Splits "(MIT AND Zlib) OR Apache-2.0" into its choices; each choice lists the licences that apply together. */
function alternatives(expression: string): string[][] {
  return expression.split(/ OR /).map((choice) => choice.replace(/[()]/g, '').split(/ AND /));
}

/** Whether NOTICE names the package. The name also covers platform builds, such as "lightningcss-linux-x64-gnu". */
const named = (notice: string, name: string): boolean =>
  [...notice.matchAll(/^ {2}(\S+) {2,}/gm)].some(([, known = '']) => name === known || name.startsWith(`${known}-`));

// Holds docs/requirements.md against the repository: every id that is used anywhere is defined there, and every id
// that is defined is named in the title of a test that proves it, or is marked open.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import type { Problem } from './problems.ts';

const FILE = 'docs/requirements.md';
/** Where ids are used. A folder is read with all that is in it. */
const PLACES = ['src', 'test', 'policies', 'policy-tests', 'docs', 'examples', 'tools', '.github', 'README.md'];
const PLACES_OF_PEOPLE = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];
const TEXT = /\.(ts|rego|ya?ml|md|json)$/;
const SKIPPED = new Set(['node_modules', 'dist', '.cache', 'compiled']);

/** Ids of requirements, and of the assets, threat actors and controls that they serve. */
const ID = /\b(?:R-\d{2}|TA\d{2}|A\d{2}|C\d{2})\b/g;
/** A title is quoted in TypeScript, and follows `name:` in a decision case. */
const inTitle = (id: string): RegExp => new RegExp(`(?:['"\`]|name: *)[^'"\`]*\\b${id}\\b`);

interface Defined {
  line: number;
  /** Files of the column "proven by"; undefined: open. Assets, actors and controls need no proof. */
  proofs: string[] | undefined;
}

export function checkRequirements(root = PACKAGE_ROOT): Problem[] {
  const path = join(root, FILE);
  if (!existsSync(path)) return [{ file: FILE, line: 0, path: '', message: 'is missing: it defines the requirements' }];
  const { defined, problems } = readDefinitions(readFileSync(path, 'utf8'));
  return [...problems, ...undefinedIds(root, defined), ...unproven(root, defined)];
}

function readDefinitions(text: string): { defined: Map<string, Defined>; problems: Problem[] } {
  const defined = new Map<string, Defined>();
  const problems: Problem[] = [];
  text.split('\n').forEach((row, i) => {
    const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const id = cells[1] ?? '';
    if (!/^(R-\d{2}|(A|TA|C)\d{2})$/.test(id)) return;
    const problem = (message: string) => problems.push({ file: FILE, line: i + 1, path: id, message });
    if (defined.has(id)) problem('is defined twice');
    const proof = id.startsWith('R-') ? (cells.at(-2) ?? '') : '';
    const files = [...proof.matchAll(/`([^`]+)`/g)].map(([, file]) => file as string);
    if (id.startsWith('R-') && files.length === 0 && proof !== 'open')
      problem('names no test that proves it; give one, or say "open"');
    defined.set(id, { line: i + 1, proofs: files.length > 0 ? files : undefined });
  });
  return { defined, problems };
}

function undefinedIds(root: string, defined: ReadonlyMap<string, Defined>): Problem[] {
  return [...PLACES, ...PLACES_OF_PEOPLE]
    .flatMap((place) => filesIn(join(root, place)))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, i) =>
          [...line.matchAll(ID)]
            .filter(([id]) => !defined.has(id))
            .map(([id]) => ({
              file: relative(root, file),
              line: i + 1,
              path: '',
              message: `${id} is not defined in ${FILE}`,
            })),
        ),
    );
}

function unproven(root: string, defined: ReadonlyMap<string, Defined>): Problem[] {
  return [...defined].flatMap(([id, { line, proofs }]) =>
    (proofs ?? []).flatMap((file) => {
      const path = join(root, file);
      const proven =
        existsSync(path) &&
        readFileSync(path, 'utf8')
          .split('\n')
          .some((text) => inTitle(id).test(text));
      return proven ? [] : [{ file: FILE, line, path: id, message: `no test in ${file} has ${id} in its title` }];
    }),
  );
}

function filesIn(path: string): string[] {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name) || entry.isSymbolicLink()) return [];
    if (entry.isDirectory()) return filesIn(join(path, entry.name));
    return TEXT.test(entry.name) && !entry.name.startsWith('package') ? [join(path, entry.name)] : [];
  });
}

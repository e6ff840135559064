// Checks src/ against the rules of docs/architecture.md: dependencies point one way, only the open.ts of a part
// imports its adapters, each third-party library has one home, there are no circles, and nothing grows too big. Each
// problem is reported with its file and line.
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import { circles, type Graph } from './circles.ts';
import type { Problem } from './problems.ts';
import { type Import, readSource, type Source } from './source.ts';

/** What each part of src/ may import, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  formats: ['core'],
  keyring: ['core'],
  freeze: [],
  config: ['core', 'formats'],
  identity: ['core', 'formats', 'config', 'keyring'],
  decision: ['core', 'formats', 'identity'],
  // The workbench. What runs never imports it: connector.ts hands in what must compile or check at start.
  policy: ['core', 'formats', 'config', 'decision', 'rehearsal'],
  // Calls with time between them, through the real pipeline, for the tests of policies.
  rehearsal: [
    ...['core', 'formats', 'audit', 'backend', 'decision', 'enforcement', 'freeze', 'identity', 'keyring', 'session'],
    'store',
  ],
  backend: ['core', 'formats', 'config', 'decision'],
  session: ['core', 'decision', 'backend', 'freeze', 'identity', 'keyring'],
  facts: ['core', 'decision', 'identity', 'session'],
  store: ['core', 'formats', 'alerts', 'config', 'facts', 'freeze', 'identity', 'session'],
  audit: ['core', 'formats', 'config', 'decision', 'freeze', 'identity', 'session'],
  openapi: ['core', 'formats', 'config'],
  enforcement: ['core', 'formats', 'audit', 'backend', 'decision', 'facts', 'freeze', 'identity', 'session'],
  mcp: [
    ...['core', 'formats', 'audit', 'config', 'decision', 'enforcement', 'facts', 'freeze', 'identity', 'keyring'],
    'session',
  ],
  http: ['core', 'formats', 'audit', 'config', 'decision', 'identity', 'mcp'],
  // Another policy for a running connector. It alone brings the workbench to what runs, in a thread apart.
  activation: ['core', 'formats', 'audit', 'config', 'decision', 'policy'],
  // Who is told of alerts, and how. What is put on record is handed to it.
  alerts: ['core', 'formats', 'audit', 'config', 'decision'],
  // What operators see and do; it starts and stops the rest and decides nothing.
  life: ['core', 'formats', 'audit', 'backend', 'config', 'freeze', 'store'],
  admin: [
    ...['core', 'formats', 'activation', 'alerts', 'audit', 'backend', 'config', 'decision', 'facts', 'freeze', 'http'],
    ...['identity', 'life', 'session'],
  ],
  demo: ['core', 'formats', 'config', 'identity'],
  connector: [
    ...[
      'core',
      'activation',
      'admin',
      'alerts',
      'audit',
      'backend',
      'config',
      'decision',
      'enforcement',
      'freeze',
      'http',
      'identity',
      'keyring',
    ],
    ...['life', 'mcp', 'policy', 'session', 'store'],
  ],
  cli: [
    ...[
      'core',
      'formats',
      'activation',
      'admin',
      'audit',
      'backend',
      'config',
      'connector',
      'decision',
      'demo',
      'freeze',
      'http',
    ],
    ...['identity', 'keyring', 'life', 'openapi', 'policy'],
  ],
  main: ['core', 'cli'],
};

/** Implementations of a port. Only the open.ts of their part imports them and hands them out as the port. */
const ADAPTERS = [
  { files: /^store\/(memory|redis)\//, home: /^store\/(open\.ts$|memory\/|redis\/)/ },
  { files: /^backend\/adapter\.ts$/, home: /^backend\/open\.ts$/ },
  { files: /^identity\/(keys|access-tokens\/jwt)\.ts$/, home: /^identity\/open\.ts$/ },
];

const HOMES: Record<string, RegExp> = {
  '@open-policy-agent/opa-wasm': /^decision\/wasm\.ts$/,
  '@modelcontextprotocol/sdk': /^mcp\//,
  '@readme/openapi-parser': /^openapi\/document\.ts$/,
  diff: /^policy\/report\/patch\.ts$/,
  ajv: /^formats\/json-schema\.ts$/,
  'ajv-formats': /^formats\/json-schema\.ts$/,
  cockatiel: /^(backend\/http\/|session\/end\/)/,
  commander: /^(cli\/|main\.ts$)/,
  'css-select': /^formats\/html\//,
  domhandler: /^formats\/html\//,
  htmlparser2: /^formats\/html\//,
  'ipaddr.js': /^identity\/address\.ts$/,
  '@jmespath-community/jmespath': /^formats\/query\.ts$/,
  '@keyv/redis': /^store\/redis\/connection\.ts$/,
  jose: /^(identity\/access-tokens|policy\/signed)\//,
  keyv: /^store\//,
  koa: /^(http|admin)\//,
  'prom-client': /^admin\/metrics\//,
  re2js: /^formats\/pattern\.ts$/,
  saxes: /^formats\/xml\.ts$/,
  'tough-cookie': /^backend\/http\/jar\.ts$/,
  'tar-stream': /^policy\/signed\//,
  'triple-beam': /^audit\/ops\.ts$/,
  undici: /^backend\/http\//,
  winston: /^audit\/ops\.ts$/,
  yaml: /^formats\/yaml\/yaml\.ts$/,
  // zod is used only where the shape of a document is declared, never while a call is handled.
  zod: /^(activation\/|admin\/|alerts\/receivers\/payload\.ts$|audit\/(chain\/keys|pseudonyms|read\/public-keys|record-schema)\.ts$|config\/|decision\/|policy\/|rehearsal\/written\.ts$|formats\/yaml\/|identity\/(client-file|api-keys\/attributes)\.ts$|keyring\/keyring\.ts$)/,
};

const LONGEST_FILE = 350;
const LONGEST_FUNCTION = 80;
const FULLEST_FOLDER = 12;

export function checkArchitecture(root = PACKAGE_ROOT): Problem[] {
  const src = join(root, 'src');
  const sources = new Map(
    readdirSync(src, { recursive: true, encoding: 'utf8' })
      .map((name) => name.replaceAll('\\', '/'))
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map((file) => [file, readSource(file, readFileSync(join(src, file), 'utf8'))]),
  );
  return [
    ...[...sources].flatMap(([file, source]) => [...strayImports(file, source), ...tooBig(file, source)]),
    ...fullFolders([...sources.keys()]),
    ...circularImports(sources),
  ];
}

const problem = (file: string, line: number, message: string): Problem => ({
  file: `src/${file}`,
  line,
  path: '',
  message,
});

function strayImports(file: string, { imports }: Source): Problem[] {
  return imports.flatMap((each) => {
    const message = breach(file, each);
    return message === undefined ? [] : [problem(file, each.line, message)];
  });
}

function breach(file: string, { specifier, isType }: Import): string | undefined {
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined;
  if (!specifier.startsWith('.')) return strayLibrary(file, specifier);
  const imported = resolved(file, specifier);
  const [from, to] = [part(file), part(imported)];
  const adapter = ADAPTERS.find(({ files }) => files.test(imported));
  if (adapter && !isType && !adapter.home.test(file)) return `${imported} is an adapter: only ${to}/open.ts imports it`;
  if (from === to || MAY_IMPORT[from]?.includes(to)) return undefined;
  return `${from} must not import ${to} (dependencies point one way; see docs/architecture.md)`;
}

function strayLibrary(file: string, target: string): string | undefined {
  const name = target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
  const home = HOMES[name];
  if (!home) return `${name} has no home; name one in tools/architecture.ts`;
  return home.test(file) ? undefined : `${name} is at home in ${home.source.replaceAll('\\', '')}, not here`;
}

function tooBig(file: string, { lines, functions }: Source): Problem[] {
  const long = functions
    .filter((each) => each.lines > LONGEST_FUNCTION)
    .map(({ name, line, lines: length }) =>
      problem(file, line, `${name} has ${length} lines; a function has ${LONGEST_FUNCTION} at most`),
    );
  return lines > LONGEST_FILE
    ? [...long, problem(file, LONGEST_FILE, `has ${lines} lines; ${LONGEST_FILE} is the most`)]
    : long;
}

function fullFolders(files: readonly string[]): Problem[] {
  const count = new Map<string, number>();
  for (const file of files) count.set(dirname(file), (count.get(dirname(file)) ?? 0) + 1);
  return [...count]
    .filter(([, number]) => number > FULLEST_FOLDER)
    .map(([folder, number]) =>
      problem(folder, 0, `holds ${number} files; a folder of more than ${FULLEST_FOLDER} wants rooms`),
    );
}

/** Imports of types count: whoever reads one file of a circle has to read them all. */
function circularImports(sources: ReadonlyMap<string, Source>): Problem[] {
  const graph: Graph = new Map(
    [...sources].map(([file, { imports }]) => [
      file,
      imports.filter(({ specifier }) => specifier.startsWith('.')).map(({ specifier }) => resolved(file, specifier)),
    ]),
  );
  return circles(graph).map((circle) => {
    const [first = ''] = circle;
    const next = sources.get(first)?.imports.find((i) => circle.includes(resolved(first, i.specifier)));
    return problem(first, next?.line ?? 1, `imports in a circle: ${[...circle, first].join(' -> ')}`);
  });
}

const resolved = (file: string, specifier: string): string =>
  normalize(join(dirname(file), specifier)).replaceAll('\\', '/');

/** "session" for session/manager.ts, "connector" for connector.ts. */
const part = (file: string): string => file.split('/')[0]?.replace(/\.ts$/, '') ?? file;

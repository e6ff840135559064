// Dependencies point one way, adapters are known to connector.ts alone, and each third-party library
// has one home (DESIGN.md). Checked line by line, so that a breach is named where it stands.
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import type { Problem } from './problems.ts';

/** What each part of src/ may import, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  identity: ['core', 'config', 'keyring'],
  keyring: ['core'],
  config: ['core'],
  decision: ['core', 'identity'],
  facts: ['core', 'decision', 'session'],
  backend: ['core', 'config', 'decision'],
  session: ['core', 'decision', 'backend', 'keyring'],
  store: ['core', 'config', 'facts', 'identity', 'session'],
  audit: ['core', 'decision', 'session'],
  admin: ['core', 'audit', 'backend', 'session'],
  openapi: ['core', 'config'],
  enforcement: ['core', 'audit', 'backend', 'decision', 'facts', 'identity', 'session'],
  mcp: ['core', 'config', 'decision', 'enforcement', 'facts', 'identity', 'keyring', 'session'],
  http: ['core', 'audit', 'identity', 'mcp'],
  demo: ['core', 'config', 'identity'],
  connector: [
    'core',
    'admin',
    'audit',
    'backend',
    'config',
    'decision',
    'enforcement',
    'facts',
    'http',
    'identity',
    'keyring',
    'mcp',
    'session',
    'store',
  ],
  cli: [
    'core',
    'admin',
    'backend',
    'config',
    'connector',
    'decision',
    'demo',
    'http',
    'identity',
    'keyring',
    'openapi',
  ],
  main: ['core', 'cli'],
};

/** Implementations behind a port: connector.ts puts them together, nobody else knows them. */
const ADAPTERS = [/^store\//, /^backend\/adapter\.ts$/, /^identity\/(keys|jwt)\.ts$/];

const HOMES: Record<string, RegExp> = {
  '@open-policy-agent/opa-wasm': /^decision\/evaluator\.ts$/,
  '@modelcontextprotocol/sdk': /^mcp\//,
  '@readme/openapi-parser': /^openapi\/document\.ts$/,
  ajv: /^core\/json-schema\.ts$/,
  'ajv-formats': /^core\/json-schema\.ts$/,
  cockatiel: /^(backend\/http|session\/retirement)\.ts$/,
  commander: /^(cli\/|main\.ts$)/,
  'css-select': /^core\/html\.ts$/,
  domhandler: /^core\/html\.ts$/,
  htmlparser2: /^core\/html\.ts$/,
  'ipaddr.js': /^identity\/address\.ts$/,
  '@jmespath-community/jmespath': /^core\/query\.ts$/,
  '@keyv/redis': /^store\/redis\/connection\.ts$/,
  jose: /^identity\/(jwt|dpop)\.ts$/,
  keyv: /^store\//,
  koa: /^(http|admin)\//,
  'prom-client': /^admin\/metrics\.ts$/,
  re2js: /^core\/pattern\.ts$/,
  saxes: /^core\/xml\.ts$/,
  'tough-cookie': /^backend\/jar\.ts$/,
  'triple-beam': /^audit\//,
  undici: /^backend\/http\.ts$/,
  winston: /^audit\//,
  'winston-transport': /^audit\//,
  yaml: /^core\/yaml\.ts$/,
  // The schema language is used where a shape is declared, and nowhere on the way of a call.
  zod: /^(admin\/|config\/|decision\/|core\/yaml\.ts$|identity\/client-file\.ts$|keyring\/keyring\.ts$)/,
};

const LONGEST_FILE = 350;

export function checkArchitecture(root = PACKAGE_ROOT): Problem[] {
  const src = join(root, 'src');
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts'));
  return files.sort().flatMap((file) => {
    const lines = readFileSync(join(src, file), 'utf8').split('\n');
    const found = lines.flatMap((line, i) => {
      const target = /\b(?:from|import|require)\s*\(?\s*'([^']+)'/.exec(line)?.[1];
      const message = target === undefined ? undefined : breach(file, target, line);
      return message === undefined ? [] : [{ file: `src/${file}`, line: i + 1, path: '', message }];
    });
    if (lines.length > LONGEST_FILE)
      found.push({
        file: `src/${file}`,
        line: LONGEST_FILE,
        path: '',
        message: `has ${lines.length} lines; ${LONGEST_FILE} is the most`,
      });
    return found;
  });
}

function breach(file: string, target: string, line: string): string | undefined {
  if (target.startsWith('node:') || builtinModules.includes(target)) return undefined;
  if (!target.startsWith('.')) return strayLibrary(file, target);
  const imported = normalize(join(dirname(file), target)).replaceAll('\\', '/');
  const [from, to] = [part(file), part(imported)];
  if (from === to) return undefined;
  if (!MAY_IMPORT[from]?.includes(to))
    return `${from} must not import ${to} (dependencies point one way; see docs/architecture.md)`;
  const isType = /^\s*import type\b/.test(line);
  if (from !== 'connector' && !isType && ADAPTERS.some((adapter) => adapter.test(imported)))
    return `${imported} is an adapter: only connector.ts imports it`;
  return undefined;
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

/** "session" for session/manager.ts, "connector" for connector.ts. */
const part = (file: string): string => file.split('/')[0]?.replace(/\.ts$/, '') ?? file;

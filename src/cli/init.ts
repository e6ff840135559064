// `sallyport init`: lays out a project, so that the installed package leads to a first call by itself.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline/promises';
import { isLoopback } from '../config/check/plaintext.ts';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import { addClient } from '../identity/client-file.ts';
import { paint, print, printJson } from './output.ts';

/** Options of the command. What is not given is asked for on a terminal, and has a default elsewhere. */
export interface InitOptions {
  backend?: string;
  url?: string;
  client?: string;
  json?: boolean;
}

/** What one parser of YAML or another reads as a value. */
const WORDS_OF_YAML = /^(null|true|false|yes|no|on|off|y|n)$/;
const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

/** Writes the project. Rejects with an OperatorError for a folder that has files of the same names, and changes none. */
export async function init(dir: string, options: InitOptions): Promise<void> {
  const { backend, url, client } = await asked(options);
  for (const [option, name] of Object.entries({ backend, client }))
    if (WORDS_OF_YAML.test(name))
      throw new OperatorError(`--${option} is "${name}", which is no name in YAML but a value; take another one`);
  if (!NAME.test(backend))
    throw new OperatorError('--backend takes lower case letters, digits, "_" and "-", beginning with a letter');
  if (!NAME.test(client))
    throw new OperatorError('--client takes lower case letters, digits, "_" and "-", beginning with a letter');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || `${parsed.username}${parsed.password}` !== '' || /\s/.test(url))
    throw new OperatorError('--url takes an http:// or https:// URL without a password');
  if (parsed.search !== '' || parsed.hash !== '')
    throw new OperatorError('--url takes the address of the application, without a query and a fragment');
  const root = resolve(dir);
  const files = filesOf(backend, parsed);
  const secret = ['clients.json', `${backend}.user`, `${backend}.password`, `${client}.key`];
  const all = [...Object.keys(files), ...secret.map((name) => `secrets/${name}`)];
  const there = all.filter((name) => existsSync(join(root, name)));
  if (there.length > 0)
    throw new OperatorError(`${root} has ${there.join(', ')} already; give an empty folder, or remove them`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  mkdirSync(join(root, 'secrets'), { recursive: true, mode: 0o700 });
  // Empty, so that nothing starts before somebody has filled them; they have the right mode already.
  for (const name of ['user', 'password']) writePrivateFile(join(root, 'secrets', `${backend}.${name}`), '');
  const key = addClient(join(root, 'secrets/clients.json'), [], {
    ...{ id: client, roles: ['user'], scopes: [], now: new Date() },
  });
  writePrivateFile(join(root, 'secrets', `${client}.key`), `${key.reveal()}\n`);
  if (options.json)
    return printJson({ dir: root, files: readdirSync(root).sort(), key_file: join(root, 'secrets', `${client}.key`) });
  tell(root, backend, client);
}

async function asked({ backend, url, client, json }: InitOptions) {
  const ask = stdin.isTTY && stdout.isTTY && json !== true;
  const reader = ask ? createInterface({ input: stdin, output: stdout }) : undefined;
  const question = async (given: string | undefined, text: string, otherwise: string) =>
    given ?? ((await reader?.question(`${text} [${otherwise}] `))?.trim() || otherwise);
  try {
    return {
      backend: await question(backend, 'Name of the application?', 'app'),
      url: await question(url, 'Its address?', 'http://127.0.0.1:8080'),
      client: await question(client, 'Name of the first client?', 'agent'),
    };
  } catch {
    throw new OperatorError('nothing was made');
  } finally {
    reader?.close();
  }
}

function tell(root: string, backend: string, client: string): void {
  print(`${paint('bold', basename(root))} is laid out in ${relative('', root) || '.'}`);
  print();
  const to = relative('', root);
  const sallyport = commandName(root);
  const steps: [what: string, why: string][] = [
    ...(to === '' ? [] : [[`cd ${quoted(to)}`, 'the commands below start from here'] as [string, string]]),
    [
      `put user name and password into secrets/${backend}.user and secrets/${backend}.password`,
      'they are empty, and nothing starts before',
    ],
    [`describe login and tools in backends/${backend}.yaml`, 'docs/legacy-systems.md in the package says how'],
    [`${sallyport} backend check ${backend}`, 'logs in, calls and logs out on the real system'],
    [`${sallyport} serve --config connector.yaml`, `the key of "${client}" is in secrets/${client}.key`],
  ];
  for (const [i, [what, why]] of steps.entries()) print(`  ${i + 1}. ${what}${paint('dim', `  (${why})`)}`);
}

/** As a shell reads it. */
const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** How whoever has typed this command types the next one, in the folder of the project: by npx where it was, else the program itself. */
const commandName = (root: string): string =>
  process.env.npm_command === 'exec'
    ? 'npx --no-install sallyport'
    : process.argv[1]?.endsWith('main.js')
      ? `node ${quoted(relative(root, process.argv[1]))}`
      : 'sallyport';

/** The files that Git may see, by their paths. */
function filesOf(backend: string, parsed: URL): Record<string, string> {
  const plain = parsed.protocol === 'http:' && !isLoopback(parsed.hostname);
  const url = JSON.stringify(parsed.href.replace(/\/$/, ''));
  return {
    '.gitignore': 'secrets/\n.sallyport/\nnode_modules/\n',
    'connector.yaml': `# The connector. Every key is explained in docs/configuration.md of the package.
version: 1
include: [backends]
state_dir: .sallyport
identity:
  keys: { file: secrets/clients.json }
policy: { dir: policies }
backends: {}
`,
    [`backends/${backend}.yaml`]: `# ${backend}: how to log in, how an ended session looks, and its tools. docs/legacy-systems.md of the package is the guide.
backends:
  ${backend}:
    url: ${url}${plain ? '\n    plaintext: true' : ''}
    credentials:
      user: { file: secrets/${backend}.user }
      password: { file: secrets/${backend}.password }
    login:
      - request: { path: /login }
      - request: { method: POST, path: /login, form: { username: "{credentials.user}", password: "{credentials.password}" } }
        expect: { redirect_to: / }
    session: { cookies: [JSESSIONID] }
    expired: [{ status: 401 }, { redirect_to: /login }]
    logout: { request: { method: POST, path: /logout } }
tools:
  ${backend}_get:
    backend: ${backend}
    description: Show one item by its number.
    effect: read
    arguments:
      type: object
      properties: { number: { type: string, minLength: 1, maxLength: 40 } }
      required: [number]
    request: { path: "/api/items/{number}" }
`,
    'policies/data.yaml': `# Who may call what, and what differs from the shipped policy. The shipped defaults, each with its meaning, are in
# node_modules/sallyport/policies/data.yaml; rules of your own go into policies/site/.
settings:
  access:
    roles:
      user: { tools: [${backend}_get] }
  binding: {}
  lifetime: {}
  replay: {}
  usage: {}
  backends: {}
  tools: {}
`,
    'policy-tests/site/access.yaml': `# Cases of the rules of this site, decided with policies/data.yaml: sallyport policy test --dir policies
cases:
  - name: a user may read
    base: clerk_in_session
    input: { client: { roles: [user] }, tool: { name: ${backend}_get, backend: ${backend}, effect: read } }
    expect: { outcome: allow, reasons: [access.role] }
`,
  };
}

// Prepares the demo that `npm start` runs without a configuration: the embedded legacy application, the configuration
// of a connector in front of it, and one client whose API key is in the state folder.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, parseConfig } from '../config/load.ts';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import { formatProblem } from '../formats/yaml/yaml.ts';
import { addClient, type ClientRecord, hashKey, readClientFile } from '../identity/client-file.ts';
import { type LegacyInventory, startLegacyInventory } from './legacy-inventory/app.ts';

/** Client id of the one client of the demo. */
export const DEMO_CLIENT = 'demo-agent';
const DEMO_CONFIG = fileURLToPath(new URL('./connector.yaml', import.meta.url));

/** A running legacy application, and what a connector in front of it needs. `legacy` must be closed afterwards. */
export interface Demo {
  config: Config;
  env: NodeJS.ProcessEnv;
  legacy: LegacyInventory;
  /** File with the API key of the demo client, mode 0600. */
  keyFile: string;
}

/** Everything but the state folder has a default. */
export interface DemoOptions {
  stateDir: string;
  env?: NodeJS.ProcessEnv;
  /** Roles and scopes of the demo client. */
  roles?: string[];
  scopes?: string[];
  /** The user of the legacy application as whom the connector logs in. */
  legacyUser?: 'clerk' | 'manager';
  /** The clock of the legacy application, in milliseconds since 1970. */
  now?: () => number;
  /** Changes the text of the demo configuration before it is parsed, for tests and the tour. */
  edit?: (yaml: string) => string;
}

/**
 * Starts the legacy application, with a new password each time, and writes what the demo needs to the state folder.
 * Throws an OperatorError when the configuration is not valid, and then leaves nothing running.
 */
export async function prepareDemo({
  stateDir,
  env = process.env,
  roles = ['clerk'],
  scopes = ['stock:write'],
  legacyUser = 'manager',
  now = Date.now,
  edit = (yaml) => yaml,
}: DemoOptions): Promise<Demo> {
  const dir = resolve(stateDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const keyFile = join(dir, `${DEMO_CLIENT}.key`);
  ensureClient(join(dir, 'clients.json'), keyFile, { id: DEMO_CLIENT, roles, scopes, now: new Date(now()) });
  const password = randomBytes(18).toString('base64url');
  writePrivateFile(join(dir, 'demo-backend.password'), `${password}\n`);

  const legacy = await startLegacyInventory({
    users: { clerk: { password, role: 'clerk' }, manager: { password, role: 'manager' } },
    now,
  });
  const demoEnv = {
    ...env,
    SALLYPORT_STATE_DIR: dir,
    LEGACY_INVENTORY_URL: legacy.url,
    LEGACY_INVENTORY_USER: legacyUser,
  };
  const parsed = parseConfig({
    text: edit(readFileSync(DEMO_CONFIG, 'utf8')),
    file: DEMO_CONFIG,
    baseDir: dir,
    env: demoEnv,
  });
  if (!parsed.ok) {
    await legacy.close();
    throw new OperatorError(parsed.problems.map(formatProblem).join('\n'));
  }
  return { config: parsed.config, env: demoEnv, legacy, keyFile };
}

/** Creates the demo client unless its API key exists: a client that was set up once must work after a restart. */
function ensureClient(clientsFile: string, keyFile: string, client: Parameters<typeof addClient>[2]): void {
  const existing: ClientRecord[] = existsSync(clientsFile) ? readClientFile(clientsFile) : [];
  const known = existing.find((record) => record.id === client.id);
  if (known && existsSync(keyFile) && hashKey(readFileSync(keyFile, 'utf8').trim()) === known.key_sha256) return;
  writePrivateFile(keyFile, `${addClient(clientsFile, existing, client, true).reveal()}\n`);
}

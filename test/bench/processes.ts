// The processes of the benchmark: each server has one of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { writePrivateFile } from '../../src/core/files/private-file.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { addClient, readClientFile } from '../../src/identity/client-file.ts';
import { createKeyringFile, writeKeyring } from '../../src/keyring/keyring.ts';
import { endWithParent } from '../support/children.ts';

export const PASSWORD = 'bench-password';
const children: ChildProcess[] = [];

/** Starts a process and returns the line of JSON that it prints first. */
export async function start(args: string[], env = process.env): Promise<{ url: string; pid: number }> {
  const child = endWithParent(
    spawn(process.execPath, args, { cwd: PACKAGE_ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  children.push(child);
  for await (const line of createInterface({ input: child.stdout }))
    return { ...(JSON.parse(line) as { url: string }), pid: child.pid as number };
  throw new Error(`${args.at(-1)} did not start`);
}

export function stopAll(): void {
  for (const child of children) child.kill();
}

/** A server of the benchmark in a process of its own: see server.ts for the roles. */
export const server = (role: string, ...args: string[]) =>
  start(['--import', 'tsx', join(PACKAGE_ROOT, 'test/bench/server.ts'), role, PASSWORD, ...args]);

const CLOCK_TICKS = 100;

/** User and system time of a process so far, in microseconds. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS) * 1e6;
}

export interface Governed {
  url: string;
  pid: number;
  keys: Record<string, string>;
  dir: string;
}

export interface GovernedOptions {
  legacyUrl: string;
  redisUrl?: string | undefined;
  /** Another replica of which this one shares clients and keyring. */
  beside?: Governed;
  /** After how many calls a backend token is rotated; left out, never while the benchmark runs. */
  tokenUses?: number;
  /** Where the built connector is; left out, this checkout. */
  root?: string;
  /** Changes the files in the folder of the connector before it starts. */
  prepare?: (dir: string) => void;
}

/**
 * Starts the built connector with the default policy and configuration; only the rate limits are raised out of the way,
 * and rotation is turned off, whose price has a row of its own.
 */
export async function governedServer(options: GovernedOptions): Promise<Governed> {
  const { legacyUrl, redisUrl, beside, tokenUses = 1_000_000_000, root = PACKAGE_ROOT, prepare } = options;
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  cpSync(join(root, 'policies'), join(dir, 'policies'), { recursive: true });
  const data = join(dir, 'policies', 'data.yaml');
  const text = readFileSync(data, 'utf8')
    .replace(/(calls_per_minute|calls_per_hour): \d+/g, '$1: 1000000000')
    .replace(/(token_age: \{ limit_seconds:) \d+/, '$1 28000')
    .replace(/(token_uses: \{ limit:) \d+/, `$1 ${tokenUses}`);
  writeFileSync(data, text);
  writePrivateFile(join(dir, 'demo-backend.password'), PASSWORD);
  const clients = join(dir, 'clients.json');
  const keys: Record<string, string> = { ...beside?.keys };
  if (beside) cpSync(join(beside.dir, 'clients.json'), clients);
  else
    for (const id of ['bench', 'old-hand']) {
      const client = { id, roles: ['clerk'], scopes: ['stock:write'], now: new Date() };
      keys[id] = addClient(clients, existsSync(clients) ? readClientFile(clients) : [], client).reveal();
    }
  if (!beside) writeKeyring(join(dir, 'keyring.json'), createKeyringFile(new Date()));
  const config = join(dir, 'connector.yaml');
  const demo = readFileSync(join(root, 'src/demo/connector.yaml'), 'utf8');
  const store = redisUrl === undefined ? '' : `store: { redis: { url: "${redisUrl}" } }\n`;
  const ring = `keyring_file: ${join(beside?.dir ?? dir, 'keyring.json')}\n`;
  writeFileSync(config, `${demo}\n${store}${ring}policy: { dir: ${join(dir, 'policies')} }\n`);
  prepare?.(dir);
  const env = {
    ...process.env,
    SALLYPORT_STATE_DIR: dir,
    LEGACY_INVENTORY_URL: legacyUrl,
    LEGACY_INVENTORY_USER: 'clerk',
  };
  const main = join(root, 'dist/main.js');
  return { ...(await start([main, 'serve', '--config', config, '--port', '0', '--json'], env)), keys, dir };
}

// Opens the backends of a configuration with their credentials, accounts and connection pools.
import { createHash } from 'node:crypto';
import { type AccountTable, readAccountsFile } from '../config/accounts-file.ts';
import type { Config } from '../config/load.ts';
import type { AccountsConfig, BackendConfig } from '../config/schema/backend.ts';
import { resolveAccounts, resolveCredentials } from '../config/secrets.ts';
import type { Clock } from '../core/clock.ts';
import { type Reloadable, UNCHANGED } from '../core/files/reloadable.ts';
import { type WatchedFile, watchSource } from '../core/files/watched-file.ts';
import { createAccounts } from './accounts.ts';
import { createBackendAdapter } from './adapter.ts';
import { proxyOf } from './http/connection/proxy.ts';
import { readBackendTls } from './http/connection/tls.ts';
import type { BackendHealth } from './http/http.ts';
import type { BackendPort } from './port.ts';
import type { OnAnswer } from './session/ask.ts';
import type { OnStep } from './session/login.ts';

/** The hooks `onStep`, `onAnswer` and `onLogoutFailure` are those of the adapter. */
export interface BackendsOptions {
  config: Pick<Config, 'backends' | 'tools'>;
  env: NodeJS.ProcessEnv;
  clock: Clock;
  /** Called when a file of accounts has changed and cannot be used; the accounts read before stay valid. */
  onProblem?: (problem: string) => void;
  /** As `OnExchange`, with the name of the backend. */
  onExchange?: (backend: string, outcome: string, seconds: number) => void;
  onStep?: OnStep;
  onAnswer?: OnAnswer;
  onLogoutFailure?: (detail: string) => void;
}

/** The open backends by name. `close` drops their connections and ends no session. */
export interface Backends {
  readonly ports: ReadonlyMap<string, BackendPort>;
  /** Why a file of accounts on disk cannot be used; undefined when all can. */
  readonly problem: string | undefined;
  /** The files of accounts, which can be read again. */
  readonly reloadable: readonly Reloadable[];
  /** Addresses of the forward proxies, without credentials, by the backends that are reached through one. */
  readonly proxies: ReadonlyMap<string, string>;
  /** How each backend fares, by name. */
  health(): Iterable<readonly [string, BackendHealth]>;
  close(): Promise<void>;
}

/** Throws an OperatorError that names every missing credential of the first backend (or account) that lacks one. */
export function openBackends(options: BackendsOptions): Backends {
  const { config, env, clock, onExchange, onStep, onAnswer, onLogoutFailure } = options;
  const watched: WatchedFile<AccountTable>[] = [];
  const reloadable: Reloadable[] = [];
  const credentials = new Map(
    Object.entries(config.backends).map(([name, b]) => [name, resolveCredentials(b.credentials, name, env)]),
  );

  function tableOf(name: string, { file, env: variable, map }: AccountsConfig): () => AccountTable {
    if (file !== undefined || variable !== undefined) {
      const source = file === undefined ? { env: variable as string } : { file };
      const table = watchSource(source, () => readAccountsFile(source, env), options.onProblem ?? (() => {}));
      watched.push(table);
      reloadable.push({ part: `backends.${name}.accounts`, check: table.check });
      return () => table.value;
    }
    const table = resolveAccounts(map ?? {}, name, env);
    return () => table;
  }

  for (const name of Object.keys(config.backends)) reloadable.push(credentialsPart(name, config, env));

  const ports = new Map<string, BackendPort>();
  const proxies = new Map<string, string>();
  for (const [name, backend] of Object.entries(config.backends)) {
    const { accounts } = backend;
    const table = accounts ? tableOf(name, accounts) : () => new Map();
    const proxy = proxyOf(backend, env, `backends.${name}.proxy`);
    if (proxy) proxies.set(name, proxy.url.origin);
    ports.set(
      name,
      createBackendAdapter({
        name,
        config: backend,
        tools: config.tools,
        accounts: createAccounts(credentials.get(name) ?? {}, accounts?.by, table),
        clock,
        proxy,
        ...(onExchange && { onExchange: (outcome, seconds) => onExchange(name, outcome, seconds) }),
        ...(onStep && { onStep }),
        ...(onAnswer && { onAnswer }),
        ...(onLogoutFailure && { onLogoutFailure }),
      }),
    );
  }
  return {
    ports,
    proxies,
    reloadable,
    *health() {
      for (const [name, port] of ports) yield [name, port.health()] as const;
    },
    get problem() {
      return watched.find((file) => file.problem !== undefined)?.problem;
    },
    async close() {
      for (const file of watched) file.close();
      await Promise.all([...ports.values()].map((port) => port.close()));
    },
  };
}

/** Credentials, CA and certificate of a backend are read once: a reload says that new ones wait for a restart. */
function credentialsPart(name: string, { backends }: BackendsOptions['config'], env: NodeJS.ProcessEnv): Reloadable {
  const present = (): string => {
    const { credentials, accounts, ca_file, tls } = backends[name] as BackendConfig;
    const tables = [
      resolveCredentials(credentials, name, env),
      ...resolveAccounts(accounts?.map ?? {}, name, env).values(),
    ];
    const values = tables.flatMap((table) => Object.values(table).map((secret) => secret.reveal()));
    const { ca, cert, key } = readBackendTls({ ca_file, tls }, `backends.${name}`).options;
    return createHash('sha256')
      .update(JSON.stringify([values, ca, cert?.toString(), key?.toString()]))
      .digest('hex');
  };
  let first: string | undefined;
  try {
    first = present();
  } catch {
    // Opening the backend says what is wrong.
  }
  return {
    part: `backends.${name}.credentials`,
    check: () =>
      present() === first ? UNCHANGED : { result: 'needs_restart', detail: 'credentials, CA or certificate' },
  };
}

// The composition root: the only file that knows every adapter. Builds the connector from a checked
// configuration and takes it down again.
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createAuditEvents } from './audit/events.ts';
import { createAuditLog } from './audit/log.ts';
import { createOpsLog, type OpsLog } from './audit/ops.ts';
import { createBackendAdapter } from './backend/adapter.ts';
import type { BackendPort } from './backend/port.ts';
import type { Config } from './config/load.ts';
import { resolveCredentials } from './config/secrets.ts';
import { type Clock, createSystemClock } from './core/clock.ts';
import { OperatorError } from './core/errors.ts';
import type { JsonObject } from './core/json.ts';
import { closedSchema, compileSchema } from './core/json-schema.ts';
import { PACKAGE_ROOT } from './core/paths.ts';
import { type Bundle, loadBundle } from './decision/bundle.ts';
import { createEvaluator } from './decision/evaluator.ts';
import { ENTRYPOINT } from './decision/manifest.ts';
import { refuseUnknownNames, unlistedTools } from './decision/settings-names.ts';
import type { Tool } from './enforcement/call.ts';
import { createPipeline } from './enforcement/pipeline.ts';
import { createApp } from './http/app.ts';
import { listen } from './http/listener.ts';
import { MCP_PATH } from './http/mcp-route.ts';
import { metadataUrl } from './http/metadata.ts';
import { createJwtVerifier } from './identity/jwt.ts';
import { createKeysVerifier } from './identity/keys.ts';
import { createVerifier } from './identity/verifier.ts';
import { createEndpoint } from './mcp/endpoint.ts';
import { createHandles } from './mcp/handles.ts';
import { createServerFactory } from './mcp/server.ts';
import { listedTools } from './mcp/tools.ts';
import { loadKeyring } from './session/keyring.ts';
import { createSessionManager } from './session/manager.ts';
import { createFingerprint, createSealer } from './session/sealing.ts';
import { createMemoryFacts } from './store/memory/facts.ts';
import { createMemorySessions } from './store/memory/sessions.ts';

export interface ConnectorOptions {
  config: Config;
  env?: NodeJS.ProcessEnv;
  clock?: Clock;
  ops?: OpsLog;
  /** Told one line before something slow begins. */
  progress?: (line: string) => void;
}

export interface Connector {
  /** URL of the MCP endpoint on this machine. */
  readonly url: string;
  readonly policy: Pick<Bundle, 'revision' | 'wasmSha256'>;
  /** Waits until retired backend sessions are logged out and all records are written. */
  settled(): Promise<void>;
  /** Stops taking calls, lets those in flight finish, logs backend sessions out, closes the log. */
  close(): Promise<void>;
}

export const VERSION = (JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string })
  .version;

/** Starts a connector. Rejects with an OperatorError when something must be fixed first. */
export async function startConnector({
  config,
  env = process.env,
  clock = createSystemClock(),
  ops = createOpsLog(),
  progress,
}: ConnectorOptions): Promise<Connector> {
  // One variable would turn off what R-51 promises, for every connection at once.
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    throw new OperatorError(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 turns TLS verification off; unset it, and use ca_file for a private CA',
    );
  }
  preparePrivateFolder(config.state_dir);
  const bundle = await loadBundle(config.policy.dir, { env, ...(progress && { progress }) });
  const names = { tools: new Set(Object.keys(config.tools)), backends: new Set(Object.keys(config.backends)) };
  if (!config.policy.allow_unknown_names) refuseUnknownNames(bundle.settingsFile, names);
  for (const tool of unlistedTools(bundle.settings, names.tools)) {
    ops.warn('no role lists this tool, so every call of it is denied; see access.roles in data.yaml', { tool });
  }
  const evaluator = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    entrypoint: ENTRYPOINT,
    budgetMs: config.policy.budget_ms,
  });
  const keyring = loadKeyring(join(config.state_dir, 'keyring.json'), new Date(clock.now()));
  const fingerprint = createFingerprint(keyring.fingerprint);

  const credentials = new Map(
    Object.entries(config.backends).map(([name, backend]) => [
      name,
      resolveCredentials(backend.credentials, name, env),
    ]),
  );
  const backends = new Map<string, BackendPort>(
    Object.entries(config.backends).map(([name, backend]) => [
      name,
      createBackendAdapter({ name, config: backend, tools: config.tools, credentials: credentials.get(name) ?? {} }),
    ]),
  );
  const tools = new Map<string, Tool>(
    Object.entries(config.tools).map(([name, tool]) => [
      name,
      {
        name,
        backend: tool.backend,
        effect: tool.effect,
        audit: tool.audit,
        validate: compileSchema(closedSchema(tool.arguments as JsonObject)),
      },
    ]),
  );

  const audit = createAuditLog({
    file: config.audit.file,
    durability: config.audit.durability,
    labels: { id: hostname(), version: VERSION },
  });
  const events = createAuditEvents(audit, clock);
  const facts = createMemoryFacts({
    clock,
    clients: config.limits.clients,
    ttlMs: Math.max(2 * 3_600_000, config.limits.handle_seconds * 1000),
  });
  const sessions = createSessionManager({
    store: createMemorySessions({ sessions: config.limits.clients * Math.max(1, backends.size) }),
    backends,
    sealer: createSealer(keyring.sealing, 'session'),
    fingerprint,
    clock,
    events: events.session,
  });

  const { keys, jwt } = config.identity;
  const keysVerifier =
    keys &&
    createKeysVerifier({
      file: keys.file,
      clock,
      onProblem: (problem) =>
        ops.error('the client file cannot be used; the last good one stays in force', { problem }),
    });
  const verifier = createVerifier({
    ...(keysVerifier && { keys: keysVerifier }),
    ...(jwt && { jwt: createJwtVerifier({ ...jwt, clockSkewSeconds: jwt.clock_skew_seconds, clock }) }),
  });

  const closeParts = async () => {
    keysVerifier?.close();
    await Promise.all([...backends.values()].map((backend) => backend.close()));
    await audit.close();
  };
  // Listens before the application exists, which must know the port it is reached at.
  let handle: RequestListener = (_request, response) => void response.writeHead(503).end();
  let listener: Awaited<ReturnType<typeof listen>>;
  try {
    listener = await listen((request, response) => handle(request, response), {
      ...config.listen,
      requestSeconds: config.limits.request_seconds,
    });
  } catch (thrown) {
    await closeParts();
    throw thrown;
  }

  const pipeline = createPipeline({ tools, backends, facts, evaluator, policy: bundle, audit, sessions, clock });
  /** Calls under way, also those whose client has hung up. */
  const calls = new Set<Promise<unknown>>();

  let stopping = false;
  const publicUrl = new URL(config.public_url ?? `${listener.url}${MCP_PATH}`);
  const app = createApp({
    ops,
    readiness: () =>
      [stopping && 'stopping', audit.failure && 'audit', keysVerifier?.stale && 'clients'].filter(
        (part) => typeof part === 'string',
      ),
    hosts: { publicUrl, allowedHosts: config.allowed_hosts, allowedOrigins: config.allowed_origins },
    metadata: {
      resource: publicUrl.href,
      authorizationServers: jwt ? [jwt.issuer] : [],
      scopes: [...new Set(Object.values(bundle.settings.access.scopes).flat())].sort(),
    },
    proxyHops: config.proxy_hops,
    prefixes: config.network_prefix,
    authenticate: {
      verifier,
      metadataUrl: metadataUrl(publicUrl.href),
      onFailure: ({ state }, failure) => events.authenticationFailed(state.requestId, state.address.ip, failure),
    },
    body: { bytes: config.limits.body_bytes, nesting: config.limits.nesting },
    endpoint: createEndpoint({
      handles: createHandles({
        sealer: createSealer(keyring.sealing, 'handle'),
        facts,
        clock,
        lifetimeMs: config.limits.handle_seconds * 1000,
      }),
      createServer: createServerFactory({
        version: VERSION,
        tools: listedTools(config.tools),
        pipeline: (call) => {
          const running = pipeline(call).finally(() => calls.delete(running));
          calls.add(running);
          return running;
        },
      }),
      onUnknownHandle: ({ requestId, ip, client }) => events.unknownHandle(requestId, ip, client.id),
    }),
  });
  handle = app.callback();
  await events.lifecycle('sys_startup', {
    revision: bundle.revision,
    wasm_sha256: bundle.wasmSha256,
    url: listener.url,
  });

  return {
    url: `${listener.url}${MCP_PATH}`,
    policy: bundle,
    async settled() {
      await sessions.settled();
      await audit.flushed();
    },
    async close() {
      stopping = true;
      await listener.stop(config.limits.shutdown_seconds * 1000);
      const closing = sessions.close();
      await Promise.allSettled(calls);
      await closing;
      await events.lifecycle('sys_shutdown', {});
      await closeParts();
    },
  };
}

/** Made private when it is made; a folder that was there before is somebody's, and not changed. */
function preparePrivateFolder(dir: string): void {
  if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (process.platform !== 'win32' && (statSync(dir).mode & 0o077) !== 0) {
    throw new OperatorError(`${dir} holds keys and can be read by others; run: chmod 700 ${dir}`);
  }
}

// The composition root: the only file that knows every adapter. Builds the connector from a checked
// configuration and takes it down again.
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createAdminApp } from './admin/app.ts';
import { createMetrics } from './admin/metrics.ts';
import { createAuditEvents, type Source } from './audit/events.ts';
import { createAuditLog } from './audit/log.ts';
import { createOpsLog, type OpsLog } from './audit/ops.ts';
import type { ClientFields } from './audit/records.ts';
import { accountClaims } from './backend/accounts.ts';
import { openBackends } from './backend/open.ts';
import type { Config } from './config/load.ts';
import { resolveSecret } from './config/secrets.ts';
import { type Clock, createSystemClock } from './core/clock.ts';
import { OperatorError } from './core/errors.ts';
import { PACKAGE_ROOT } from './core/paths.ts';
import { preparePrivateFolder } from './core/private-file.ts';
import { type Bundle, loadBundle } from './decision/bundle.ts';
import { createEvaluator } from './decision/evaluator.ts';
import { endOfSession } from './decision/lifetimes.ts';
import { createPipeline } from './enforcement/pipeline.ts';
import { createApp } from './http/app.ts';
import { listen } from './http/listener.ts';
import { MCP_PATH } from './http/middleware/mcp-route.ts';
import { metadataUrl } from './http/middleware/metadata.ts';
import { trustedHeader } from './identity/certificate.ts';
import type { Client } from './identity/client.ts';
import { createFailureLimits } from './identity/failure-limits.ts';
import { openIdentity } from './identity/open.ts';
import { openKeyring } from './keyring/keyring.ts';
import { createFingerprint, createSealer } from './keyring/sealing.ts';
import { createEndpoint } from './mcp/endpoint.ts';
import { createHandles } from './mcp/handles.ts';
import { createServerFactory } from './mcp/server.ts';
import { createListing, enforcedTools } from './mcp/tools.ts';
import { refuseUnknownNames, unlistedTools } from './policy/settings-names.ts';
import { CONTROL_AGE_MS } from './session/control.ts';
import { createSessionManager } from './session/manager.ts';
import { openStore } from './store/open.ts';

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
  /** URL of the admin listener, when one is configured. */
  readonly adminUrl: string | undefined;
  readonly policy: Pick<Bundle, 'revision' | 'wasmSha256'>;
  /** Waits until retired backend sessions are logged out and all records are written. */
  settled(): Promise<void>;
  /** Stops taking calls, lets those in flight finish, logs backend sessions out, closes the log. */
  close(): Promise<void>;
}

export const VERSION = (JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string })
  .version;

/** How often a replica looks for what others have left behind. */
const SWEEP_MS = 5000;
/** How often sessions are looked through for one that wants a sign of life. */
const KEEP_ALIVE_MS = 1000;

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
    budgetMs: config.policy.budget_ms,
  });
  const adminToken = config.admin && resolveSecret(config.admin.token, 'admin.token', env);

  /** What has to be taken down again, the last first; also when the start fails half-way. */
  const parts: (() => void | Promise<void>)[] = [];
  const closeParts = async () => {
    // One that fails must not keep the others open.
    for (const close of parts.splice(0).reverse()) await Promise.resolve(close()).catch(() => {});
  };
  try {
    const keyring = openKeyring({
      path: config.keyring_file,
      clock,
      onProblem: (problem) => ops.error('the keyring cannot be used as it is', { problem }),
    });
    parts.push(() => keyring.close());
    const fingerprint = createFingerprint(keyring.fingerprint);

    const metrics = createMetrics(VERSION);
    const audit = metrics.counting(
      createAuditLog({
        file: config.audit.file,
        durability: config.audit.durability,
        labels: { id: hostname(), version: VERSION },
      }),
    );
    parts.push(() => audit.close());
    const events = createAuditEvents(audit, clock);

    const store = await openStore({
      redis: config.store.redis,
      clients: config.limits.clients,
      backends: Object.keys(config.backends).length,
      // Usage is counted over an hour, and a handle must be remembered as long as it lives.
      ttlMs: Math.max(2 * 3_600_000, config.limits.handle_seconds * 1000),
      stateDir: config.state_dir,
      clock,
      env,
      onEpoch: events.storeEpoch,
      onEviction: () => ops.error('the store may drop keys to make room; set maxmemory-policy noeviction'),
    });
    parts.push(() => store.close());
    const { facts, control } = store;

    const backends = openBackends({
      config,
      env,
      clock,
      onProblem: (problem) =>
        ops.error('a file of accounts cannot be used; the last good one stays in force', { problem }),
      onExchange: metrics.exchange,
    });
    parts.push(() => backends.close());
    const tools = enforcedTools(config.tools);

    const sessions = createSessionManager({
      store: store.sessions,
      limits: store.limits,
      control,
      backends: backends.ports,
      sealer: createSealer(keyring.sealing, 'session'),
      fingerprint,
      clock,
      events: events.session,
      endsAt: endOfSession(bundle.settings),
    });
    const timers = [
      setInterval(() => void sessions.sweep().catch(() => {}), SWEEP_MS),
      setInterval(() => void sessions.keepAlive().catch(() => {}), KEEP_ALIVE_MS),
    ];
    for (const timer of timers) timer.unref();
    parts.push(() => timers.forEach(clearInterval));

    const { jwt } = config.identity;
    const identity = openIdentity({
      identity: config.identity,
      keep: accountClaims(config.backends),
      clock,
      sealer: createSealer(keyring.sealing, 'nonce'),
      epoch: async () => (await control.read(CONTROL_AGE_MS)).epoch,
      proofs: store.proofs,
      onProblem: (problem) =>
        ops.error('the client file cannot be used; the last good one stays in force', { problem }),
    });
    parts.push(() => identity.close());
    const { dpop } = identity;

    // Listens before the application exists, which must know the port it is reached at.
    let handle: RequestListener = (_request, response) => void response.writeHead(503).end();
    const listener = await listen((request, response) => handle(request, response), {
      ...config.listen,
      requestSeconds: config.limits.request_seconds,
    });
    let listening = true;
    const stopListening = async () => {
      if (listening) await listener.stop(config.limits.shutdown_seconds * 1000);
      listening = false;
    };
    parts.push(stopListening);

    const pipeline = createPipeline({
      tools,
      backends: backends.ports,
      facts,
      evaluator,
      policy: bundle,
      audit,
      sessions,
      clock,
    });
    /** Calls under way, also those whose client has hung up. */
    const calls = new Set<Promise<unknown>>();

    let stopping = false;
    const publicUrl = new URL(config.public_url ?? `${listener.url}${MCP_PATH}`);
    const limits = createFailureLimits(config.limits.failures_per_minute);
    const header = config.identity.mtls && trustedHeader(config.identity.mtls);
    const mtls = config.listen.tls !== undefined || header !== undefined;
    const notReady = async () =>
      [
        stopping && 'stopping',
        audit.failure && 'audit',
        identity.stale && 'clients',
        backends.stale && 'accounts',
        keyring.stale && 'keyring',
        !(await store.ready()) && 'store',
      ].filter((part) => typeof part === 'string');
    metrics.watch(function* () {
      for (const [name, backend] of backends.ports) yield [name, backend.health()];
    }, notReady);
    const app = createApp({
      ops,
      readiness: notReady,
      hosts: { publicUrl, allowedHosts: config.allowed_hosts, allowedOrigins: config.allowed_origins },
      metadata: {
        resource: publicUrl.href,
        authorizationServers: jwt ? [jwt.issuer] : [],
        scopes: [...new Set(Object.values(bundle.settings.access.scopes).flat())].sort(),
        dpop: dpop && { algorithms: dpop.algorithms, required: identity.strict },
        mtls,
      },
      proxyHops: config.proxy_hops,
      prefixes: config.network_prefix,
      authenticate: {
        verifier: identity.verifier,
        metadataUrl: metadataUrl(publicUrl.href),
        publicUrl: config.public_url,
        certificates: { header, ca: config.listen.tls?.client_ca_file !== undefined },
        onFailure({ state }, failure, verification) {
          const source: Source = { requestId: state.requestId, ...state.address };
          if (!verification.ok && verification.client) source.client = named(verification.client);
          // The nonce has run out: everything else about the proof was right, so nobody is guessing.
          if (failure === 'proof_nonce_stale') {
            events.authenticationFailed(source, failure, undefined);
            return false;
          }
          const { limited, first } = limits.failed(`source ${source.network}`, clock.now());
          const alert = failure === 'proof_replayed' ? failure : first ? 'too_many' : undefined;
          events.authenticationFailed(source, failure, alert);
          return limited;
        },
      },
      body: { bytes: config.limits.body_bytes, nesting: config.limits.nesting },
      endpoint: createEndpoint({
        handles: createHandles({
          sealer: createSealer(keyring.sealing, 'handle'),
          facts,
          control,
          clock,
          lifetimeMs: config.limits.handle_seconds * 1000,
        }),
        createServer: createServerFactory({
          version: VERSION,
          list: createListing({ tools: config.tools, evaluator, clock, onRefused: events.listingRefused }),
          pipeline: (call) => {
            const running = pipeline(call).finally(() => calls.delete(running));
            calls.add(running);
            return running;
          },
        }),
        onUnknownHandle({ client, ...scope }) {
          // By client and source: a guesser with the same client id elsewhere does not slow this one down.
          const { limited, first } = limits.failed(`handle ${client.ref} ${scope.network}`, clock.now());
          events.unknownHandle({ ...scope, client: named(client) }, first ? 'too_many' : undefined);
          return limited;
        },
      }),
    });
    handle = app.callback();

    const admin =
      config.admin &&
      adminToken &&
      (await listen(
        createAdminApp({
          token: adminToken,
          metrics,
          async revoke(selector, cause, ip) {
            let ended: number | null = null;
            try {
              ended = await sessions.revokeAll(selector, cause);
              return ended;
            } finally {
              // Also when it failed half-way: what was begun holds.
              events.revoked(selector, ended, ip);
            }
          },
          onRefused: events.adminRefused,
        }).callback(),
        { ...config.admin, requestSeconds: 60 },
      ));
    if (admin) parts.push(() => admin.stop(0));
    await events.lifecycle('sys_startup', {
      revision: bundle.revision,
      wasm_sha256: bundle.wasmSha256,
      url: listener.url,
    });

    let closing: Promise<void> | undefined;
    const close = async () => {
      stopping = true;
      await stopListening();
      const ended = sessions.close();
      await Promise.allSettled(calls);
      await ended;
      await events.lifecycle('sys_shutdown', {});
      await closeParts();
    };
    return {
      url: `${listener.url}${MCP_PATH}`,
      adminUrl: admin?.url,
      policy: bundle,
      async settled() {
        await sessions.settled();
        await audit.flushed();
      },
      close() {
        closing ??= close();
        return closing;
      },
    };
  } catch (thrown) {
    await closeParts();
    throw thrown;
  }
}

const named = ({ id, subject, issuer }: Client): ClientFields => ({ id, subject, issuer });

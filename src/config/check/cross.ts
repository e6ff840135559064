// Checks that the schema of the file cannot express: names that must exist elsewhere in it, placeholders that nothing
// fills, argument schemas that do not compile. Such mistakes must stop the start, not the first call.
import { isIP } from 'node:net';
import { basename } from 'node:path';
import type { ConnectorFile } from '../schema/connector.ts';
import { checkBackend } from './backend.ts';
import { checkPlaintext, isLoopback } from './plaintext.ts';
import type { PathProblem } from './request.ts';
import { checkTool } from './tool.ts';

/** All problems of a configuration whose shape is valid. */
export function crossCheck(config: ConnectorFile): PathProblem[] {
  return [
    ...checkListen(config),
    ...checkShutdown(config),
    ...checkPlaintext(config),
    ...checkProxies(config),
    ...checkPolicy(config),
    ...checkAudit(config),
    ...checkIdentity(config),
    ...checkStore(config),
    ...checkAlerts(config),
    ...Object.entries(config.backends).flatMap(([name, backend]) =>
      checkBackend(name, backend, config.identity.jwt !== undefined),
    ),
    ...Object.entries(config.tools).flatMap(([name, tool]) => checkTool(name, tool, config.backends)),
  ];
}

/** A control that is asked for and cannot be there is an error, and not a policy without it. */
function checkPolicy({ policy: { require, keys, site_dir } }: ConnectorFile): PathProblem[] {
  const signed = Object.keys(keys).length > 0;
  return [
    ...(require === 'signed' && !signed
      ? [{ path: ['policy', 'require'], message: '"signed" needs policy.keys: the public keys that may have signed' }]
      : []),
    ...(signed && site_dir !== undefined
      ? [
          {
            path: ['policy', 'site_dir'],
            message: 'a signature covers one folder; with policy.keys, put the rules into site of the policy folder',
          },
        ]
      : []),
  ];
}

/** Two logs in one file would each find the lines of the other; and what goes to standard output has no file. */
function checkAudit({ audit: { to, file, rotate, events } }: ConnectorFile): PathProblem[] {
  const idle = { file, rotate, 'events.file': events.file, 'events.rotate': events.rotate };
  const problems = Object.entries(to === 'stdout' ? idle : {})
    .filter(([, value]) => value !== undefined)
    .map(([key]) => ({ path: ['audit', ...key.split('.')], message: 'has no effect with "to: stdout"' }));
  if (file !== undefined && (events.file === file || basename(file) === 'events.jsonl') && to !== 'stdout')
    if (events.file === undefined || events.file === file)
      problems.push({ path: ['audit', 'events', 'file'], message: 'is the file of the decisions; give another one' });
  return problems;
}

/**
 * Whoever can reach the listener could choose its own address where any peer is believed. What is no proxy must be
 * known as such, unless only this machine can connect.
 */
function checkProxies({ listen, proxy_hops, trusted_proxies }: ConnectorFile): PathProblem[] {
  if (proxy_hops === 0 && trusted_proxies)
    return [{ path: ['trusted_proxies'], message: 'has no effect without "proxy_hops"' }];
  if (proxy_hops > 0 && !trusted_proxies && !isLoopback(listen.host))
    return [
      {
        path: ['proxy_hops'],
        message: `needs "trusted_proxies", the networks of the proxies: others reach ${listen.host} too, and would choose the address that policies see`,
      },
    ];
  return checkNetworks(trusted_proxies ?? [], ['trusted_proxies']);
}

/** Only loopback names and configured names pass the check of the Host header; without one others cannot call. */
function checkListen({ listen, public_url, allowed_hosts }: ConnectorFile): PathProblem[] {
  if (isLoopback(listen.host) || public_url !== undefined || allowed_hosts.length > 0) return [];
  return [
    {
      path: ['listen', 'host'],
      message:
        'a connector that others reach needs "public_url" (or "allowed_hosts"): calls under other names are refused',
    },
  ];
}

/** A delay as long as all of it would leave no time for the calls under way. */
function checkShutdown({ shutdown, limits }: ConnectorFile): PathProblem[] {
  if (shutdown.delay_seconds < limits.shutdown_seconds) return [];
  const message = `must be less than limits.shutdown_seconds (${limits.shutdown_seconds}), which is the time for all of it`;
  return [{ path: ['shutdown', 'delay_seconds'], message }];
}

/**
 * Without a common keyring each replica would create one of its own and could not read the sessions of the others.
 * The port of the admin listener is checked here as well.
 */
function checkStore({ store, keyring_file, keyring, listen, admin }: ConnectorFile): PathProblem[] {
  const problems: PathProblem[] = [];
  if (keyring && keyring_file !== undefined)
    problems.push({ path: ['keyring'], message: 'give either "keyring" or "keyring_file"' });
  if (store.redis && keyring_file === undefined && !keyring)
    problems.push({ path: ['store', 'redis'], message: 'replicas need the same keys: set "keyring_file"' });
  if (admin && admin.port !== 0 && admin.port === listen.port)
    problems.push({ path: ['admin', 'port'], message: 'the same as listen.port; the admin listener needs its own' });
  return problems;
}

/** A certificate without its key, or either without TLS, would be left aside. */
function checkAlerts({ alerts }: ConnectorFile): PathProblem[] {
  return Object.entries(alerts.receivers).flatMap(([name, receiver]) => {
    if (receiver.type !== 'syslog') return [];
    const at = ['alerts', 'receivers', name];
    const { tls, ca_file, cert_file, key_file } = receiver;
    if ((cert_file === undefined) !== (key_file === undefined))
      return [{ path: at, message: '"cert_file" and "key_file" go together' }];
    const idle = Object.entries({ ca_file, cert_file }).find(([, value]) => !tls && value !== undefined)?.[0];
    return idle === undefined ? [] : [{ path: [...at, idle], message: 'has no effect with "tls: false"' }];
  });
}

function checkIdentity({ identity }: ConnectorFile): PathProblem[] {
  const problems: PathProblem[] = [];
  if (identity.sender_constrained === 'required' && !identity.jwt) {
    problems.push({
      path: ['identity', 'sender_constrained'],
      message: 'API keys are bound to nobody: "required" needs identity.jwt',
    });
  }
  return [...problems, ...checkNetworks(identity.mtls?.proxies ?? [], ['identity', 'mtls', 'proxies'])];
}

const checkNetworks = (networks: readonly string[], path: PathProblem['path']): PathProblem[] =>
  networks.flatMap((network, i) =>
    isNetwork(network) ? [] : [{ path: [...path, i], message: 'not a network, such as 10.0.0.0/8' }],
  );

/** As identity/address.ts reads networks: an address without a zone, and a prefix without a leading zero. */
function isNetwork(text: string): boolean {
  const [base = '', prefix = '', ...rest] = text.split('/');
  const family = base.includes('%') ? 0 : isIP(base);
  return (
    family !== 0 &&
    !/^::ffff:/i.test(base) &&
    rest.length === 0 &&
    /^(0|[1-9]\d{0,2})$/.test(prefix) &&
    Number(prefix) <= (family === 4 ? 32 : 128)
  );
}

// Checks that the schema of the file cannot express: names that must exist elsewhere in it, placeholders that nothing
// fills, argument schemas that do not compile. Such mistakes must stop the start, not the first call.

import type { ConnectorFile } from '../schema/connector.ts';
import { checkBackend } from './backend.ts';
import type { PathProblem } from './request.ts';
import { checkTool } from './tool.ts';

/** All problems of a configuration whose shape is valid. */
export function crossCheck(config: ConnectorFile): PathProblem[] {
  return [
    ...checkListen(config),
    ...checkIdentity(config),
    ...checkStore(config),
    ...Object.entries(config.backends).flatMap(([name, backend]) =>
      checkBackend(name, backend, config.identity.jwt !== undefined),
    ),
    ...Object.entries(config.tools).flatMap(([name, tool]) => checkTool(name, tool, config.backends)),
  ];
}

/** Only loopback names and configured names pass the check of the Host header; without one others cannot call. */
function checkListen({ listen, public_url, allowed_hosts }: ConnectorFile): PathProblem[] {
  const loopback = ['127.0.0.1', '::1', 'localhost'].includes(listen.host);
  if (loopback || public_url !== undefined || allowed_hosts.length > 0) return [];
  return [
    {
      path: ['listen', 'host'],
      message:
        'a connector that others reach needs "public_url" (or "allowed_hosts"): calls under other names are refused',
    },
  ];
}

/**
 * Without a common keyring each replica would create one of its own and could not read the sessions of the others.
 * The port of the admin listener is checked here as well.
 */
function checkStore({ store, keyring_file, listen, admin }: ConnectorFile): PathProblem[] {
  const problems: PathProblem[] = [];
  if (store.redis && keyring_file === undefined)
    problems.push({ path: ['store', 'redis'], message: 'replicas need the same keys: set "keyring_file"' });
  if (admin && admin.port !== 0 && admin.port === listen.port)
    problems.push({ path: ['admin', 'port'], message: 'the same as listen.port; the admin listener needs its own' });
  return problems;
}

function checkIdentity({ identity }: ConnectorFile): PathProblem[] {
  const problems: PathProblem[] = [];
  if (identity.sender_constrained === 'required' && !identity.jwt) {
    problems.push({
      path: ['identity', 'sender_constrained'],
      message: 'API keys are bound to nobody: "required" needs identity.jwt',
    });
  }
  identity.mtls?.proxies.forEach((network, i) => {
    if (!isNetwork(network))
      problems.push({ path: ['identity', 'mtls', 'proxies', i], message: 'not a network, such as 10.0.0.0/8' });
  });
  return problems;
}

/** A rough check that catches typing mistakes; identity/address.ts reads networks exactly. */
const isNetwork = (text: string): boolean =>
  /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\/\d{1,3}$/.test(text);

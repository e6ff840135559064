// Where and how the connector listens for clients, from its configuration.
import type { OpsLog } from '../../audit/ops.ts';
import type { Config } from '../../config/load.ts';
import { proxyTest } from '../open.ts';
import { connectionsWithin, descriptorLimit } from './connections.ts';
import type { ListenOptions } from './listener.ts';

export function listenOptions({
  config,
  ops,
  onTurned,
}: {
  config: Config;
  ops: OpsLog;
  onTurned: ListenOptions['onTurned'];
}): ListenOptions {
  const { connections: asked, connections_per_source: perSource, request_seconds } = config.limits;
  const total = connectionsWithin(asked, descriptorLimit());
  if (total < asked)
    ops.warn('fewer connections than limits.connections: this process may open too few files (ulimit -n)', {
      connections: total,
    });
  return {
    ...config.listen,
    requestSeconds: request_seconds,
    connections: { total, perSource, isProxy: proxyTest(config) },
    onTurned,
  };
}

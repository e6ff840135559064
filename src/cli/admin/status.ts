// `sallyport status`: what a connector is and does, and in what the replicas on its store differ.
import type { Status } from '../../admin/api-schema.ts';
import { printable } from '../../core/printable.ts';
import { paint, print, printJson } from '../output.ts';
import { type AdminClientOptions, askAdmin, refusedBy } from './client.ts';

/** Prints the status. Sets exit code 1 where the connector is not ready or replicas differ in more than their version. */
export async function status({ json, ...at }: AdminClientOptions): Promise<void> {
  const asked = await askAdmin<Status>(at, '/api/v1/status');
  if (!asked.ok) throw refusedBy(asked);
  const { answer: now } = asked;
  if (!now.ready || now.differences.some(({ what }) => what !== 'version')) process.exitCode = 1;
  if (json) return printJson(now);
  const width = Math.max('decision log'.length, ...now.backends.map(({ name }) => `backend ${name}`.length)) + 2;
  const row = (label: string, text: string) => print(`${paint('dim', label.padEnd(width))}${text}`);
  row('ready', now.ready ? paint('green', 'yes') : paint('red', `no: ${now.failing.join(', ')}`));
  row('policy', `${now.policy.revision}  ${now.policy.verdict}`);
  row('store', `${now.store.kind}, ${now.store.revocations} revocations in force`);
  row('issuer', `${now.issuer ?? 'none: API keys'}${keysOf(now.issuer_keys)}`);
  row('decision log', `${now.decision_log.file}${now.decision_log.failure ? `  ${now.decision_log.failure}` : ''}`);
  for (const { name, circuit, in_flight, queued, paused_seconds: paused } of now.backends) {
    const wait = paused > 0 ? `, asks to wait ${paused} s` : '';
    row(`backend ${name}`, `circuit ${circuit.replace('_', ' ')}, ${in_flight} in flight, ${queued} queued${wait}`);
  }
  for (const { id, host, version, policy, configuration, keyring } of now.replicas)
    row(
      id === now.self ? 'this replica' : 'replica',
      `${host} ${id.slice(0, 8)}  ${version}  policy ${policy}  configuration ${configuration}  keyring ${keyring}`,
    );
  if (now.last_reload) {
    const { at, operator, ok, changed, restart_fails: fails } = now.last_reload;
    const what = ok
      ? changed.length > 0
        ? `changed ${changed.join(', ')}`
        : `changed nothing${fails.length > 0 ? ', and a restart would fail' : ''}`
      : paint('red', 'refused');
    row('last reload', `${at}  by ${operator}, ${what}`);
  }
  for (const { what, detail } of now.warnings) row('warning', printable(`${what}: ${detail}`));
}

function keysOf(keys: Status['issuer_keys']): string {
  if (!keys) return '';
  return keys.age_seconds === null ? '  no keys' : `  keys of ${keys.age_seconds} s ago`;
}

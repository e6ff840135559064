// What 1,000 alerts a second cost the process that calls go through, while the receiver hangs: each on record, each the first about
// another client, or all about the same. The receiver is a socket that nobody reads.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAlerts } from '../../src/alerts/open.ts';
import type { AuditLog } from '../../src/audit/log/log.ts';
import { connectorSchema } from '../../src/config/schema/connector.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { ALERT_DEFAULTS } from '../../src/decision/alerts/settings.ts';
import { alertRecord } from '../support/alerts.ts';
import { openLogIn } from '../support/open-log.ts';
import { signingSecret } from '../support/receivers.ts';
import { median, type Row, rounded, row, type Show } from './row.ts';

const ALONE = 'an alert on record, 1,000 a second';
const REPEATED = 'the same, one more of an open incident, delivered';
const FIRST = 'the same, each about another client, delivered';
const PER_SECOND = 1000;
const TICK_MS = 10;

/** Microseconds of CPU for each alert, all threads of this process together. */
async function cpuOf(seconds: number, raise: (n: number) => Promise<unknown>): Promise<number> {
  const ticks = Math.ceil((seconds * 1000) / TICK_MS);
  const each = (PER_SECOND * TICK_MS) / 1000;
  const began = process.cpuUsage();
  for (let tick = 0; tick < ticks; tick += 1) {
    const next = new Promise((resolve) => setTimeout(resolve, TICK_MS));
    for (let i = 0; i < each; i += 1) void raise(tick * each + i);
    await next;
  }
  const { user, system } = process.cpuUsage(began);
  return (user + system) / (ticks * each);
}

/** An alert more on a call: its CPU at 1,000 a second, shared by the calls of that second. */
export function alertShare(rows: readonly Row[]): Row | undefined {
  const call = rows.find(({ name, concurrency }) => name.startsWith('(c)') && concurrency === 32);
  const [alone, first] = [ALONE, FIRST].map((name) => rows.find((each) => each.name === name)?.cpu_us_per_call);
  if (!call?.cpu_us_per_call || !call.per_second || alone === undefined || first === undefined) return undefined;
  const each = rounded((Math.max(0, first - alone) * PER_SECOND) / call.per_second, 1);
  return row('the delivery of 1,000 alerts a second', {
    ...{ cpu_us_per_call: each, ratio: rounded(each / call.cpu_us_per_call), compared_to: call.name },
  });
}

export async function alertRows(seconds: number, rounds: number, show: Show): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-alerts-'));
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => void sockets.add(socket.pause()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const log = openLogIn(dir);
  const clock = createSystemClock();
  const { alerts: config } = connectorSchema.parse({
    ...{ version: 1, identity: { keys: { file: 'c' } }, backends: {} },
    alerts: {
      receivers: { hook: { type: 'webhook', url: `http://127.0.0.1:${port}/`, secrets: [{ env: 'BENCH_HOOK' }] } },
    },
  });
  const alerts = openAlerts({
    ...{
      config: { alerts: config, state_dir: dir },
      env: { BENCH_HOOK: signingSecret('bench') },
      clock,
      shared: false,
    },
    policy: () => ({ revision: 'bench', settings: { alerts: ALERT_DEFAULTS }, manifest: { reasons: {} } }),
    onProblem: () => {},
  });
  const nothing = () => {};
  alerts.start(undefined, clock, {
    ...{ receiverFailing: nothing, alertsDropped: nothing, alertGap: nothing, spoolFailing: nothing },
    receiverRemoved: nothing,
  });
  const delivering: AuditLog = alerts.listening(log);
  let serial = 0;
  const about = (id: string) => alertRecord('replay.seen', { client: { id, subject: id, issuer: 'bench' } });
  try {
    const measured: { alone: number; repeated: number; first: number }[] = [];
    for (let round = 0; round < rounds; round += 1)
      measured.push({
        alone: await cpuOf(seconds, (n) => log.alert(about(`client-${n}`))),
        repeated: await cpuOf(seconds, () => delivering.alert(about('client'))),
        first: await cpuOf(seconds, () => delivering.alert(about(`other-${serial++}`))),
      });
    const middle = median(measured, ({ alone, first }) => first / alone);
    const calls = PER_SECOND * seconds;
    show(row(ALONE, { cpu_us_per_call: rounded(middle.alone, 1), calls }));
    for (const [name, value] of [
      [REPEATED, middle.repeated],
      [FIRST, middle.first],
    ] as const)
      show(
        row(name, {
          cpu_us_per_call: rounded(value, 1),
          calls,
          ratio: rounded(value / middle.alone),
          compared_to: ALONE,
        }),
      );
  } finally {
    for (const socket of sockets) socket.destroy();
    await alerts.close();
    await log.close();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

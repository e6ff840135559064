// Attacks on the process itself (debugger, key log, debug output) and on the configuration file beside it.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { endWithParent } from '../support/children.ts';
import { run } from '../support/cli.ts';
import { until } from '../support/harness.ts';
import type { Replica } from '../support/replicas.ts';
import type { AttackGroup } from './attack.ts';

const INSPECTOR_PORT = 9229;

function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** The exit code of a start; one that goes on is ended after a moment and answers "running". */
function startOnce(args: string[], env: Record<string, string>): Promise<string> {
  return new Promise((resolve) => {
    const main = join(PACKAGE_ROOT, 'dist', 'main.js');
    const child = endWithParent(
      spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env }, stdio: 'ignore' }),
    );
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code === null ? 'running' : String(code));
    });
  });
}

export const processAttacks: AttackGroup = {
  name: 'process',
  attacks: [
    {
      id: 22,
      title:
        'R-46: SIGUSR1 is sent; the connector is started with NODE_OPTIONS=--inspect, a TLS key log or debug output',
      expected: 'no inspector; start refused 1 1 1 1',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const before = await opens(INSPECTOR_PORT);
        a.child.kill('SIGUSR1');
        await until(() => a.stderr().includes('SIGUSR1'), 'the signal to arrive');
        const open = !before && ((await opens(INSPECTOR_PORT)) || a.stderr().includes('Debugger listening'));
        const config = join(cluster.dir, 'replica-0', 'connector.yaml');
        const env = {
          SALLYPORT_STATE_DIR: join(cluster.dir, 'replica-0'),
          LEGACY_INVENTORY_URL: cluster.legacy.url,
          LEGACY_INVENTORY_USER: 'manager',
        };
        const starts = await Promise.all(
          [
            { NODE_OPTIONS: '--inspect=127.0.0.1:0' },
            { NODE_OPTIONS: `--tls-keylog=${join(cluster.dir, 'keylog')}` },
            { SSLKEYLOGFILE: join(cluster.dir, 'keylog') },
            { NODE_DEBUG: 'http' },
          ].map((extra) => run(['serve', '--config', config, '--port', '0'], { env: { ...env, ...extra } })),
        );
        return `${open ? 'an inspector opened' : 'no inspector'}; start refused ${starts.map(({ code }) => code).join(' ')}`;
      },
    },
    {
      id: 51,
      title: 'R-46: options of Node are quoted and escaped, or load code; SIGUSR2 is sent',
      expected: 'start refused 1 1 1 1; the replica lives on, and its folder has no snapshot',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const config = join(a.state, 'connector.yaml');
        const env = {
          SALLYPORT_STATE_DIR: a.state,
          LEGACY_INVENTORY_URL: cluster.legacy.url,
          LEGACY_INVENTORY_USER: 'manager',
        };
        const code = join(cluster.dir, 'code.cjs');
        writeFileSync(code, '');
        const starts = await Promise.all(
          [
            '"--heapsnapsho\\t-signal=SIGUSR2"',
            `"--tls-k\\eylog=${join(cluster.dir, 'keylog')}"`,
            `--require ${code}`,
            `--import=${code}`,
          ].map((NODE_OPTIONS) => startOnce(['serve', '--config', config, '--port', '0'], { ...env, NODE_OPTIONS })),
        );
        a.child.kill('SIGUSR2');
        const lives = await until(
          () => a.stderr().includes('SIGUSR2') || a.child.exitCode !== null || a.child.signalCode,
          'the signal to arrive',
        );
        const snapshots = readdirSync(a.state).filter((name) => name.endsWith('.heapsnapshot'));
        return `start refused ${starts.join(' ')}; the replica ${lives === true ? 'lives on' : 'is dead'}, and its folder has ${
          snapshots.length === 0 ? 'no snapshot' : snapshots.join()
        }`;
      },
    },
    {
      id: 27,
      title: 'R-48: connector.yaml is copied to another host',
      expected: 'start refused, naming the credential; no login',
      async run(cluster) {
        const host = mkdtempSync(join(tmpdir(), 'sallyport-other-host-'));
        const config = join(host, 'connector.yaml');
        copyFileSync(join(cluster.dir, 'replica-0', 'connector.yaml'), config);
        const { logins } = cluster.legacy.stats();
        const state = join(host, 'state');
        const started = await run(['serve', '--config', config, '--port', '0'], {
          cwd: host,
          env: {
            SALLYPORT_STATE_DIR: state,
            LEGACY_INVENTORY_URL: cluster.legacy.url,
            LEGACY_INVENTORY_USER: 'manager',
          },
        });
        rmSync(host, { recursive: true, force: true });
        const named = started.stderr.includes('backends.inventory.credentials.password');
        const login = cluster.legacy.stats().logins - logins;
        return `start ${started.code === 1 ? 'refused' : `ended with ${started.code}`}, ${
          named ? 'naming the credential' : 'without a reason'
        }; ${login === 0 ? 'no login' : `${login} logins`}`;
      },
    },
  ],
};

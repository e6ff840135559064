// Real reverse proxies in front of a connector, each on a free port of loopback, as an operator would set them up.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithParent } from './children.ts';
import { until } from './harness.ts';
import { freePort } from './redis.ts';

export interface ReverseProxy {
  port: number;
  /** URL of /mcp through the proxy. */
  url: string;
  stop(): Promise<void>;
}

/** HAProxy appends a line of its own with the address of its peer, after all lines of the client. */
export const startHaproxy = (program: string, target: string): Promise<ReverseProxy> =>
  start(program, target, (port, host) => ({
    args: (file) => ['-db', '-f', file],
    config: `defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server connector ${host}
`,
  }));

/** NGINX appends the address of its peer to the list that the client sent. */
export const startNginx = (program: string, target: string): Promise<ReverseProxy> =>
  start(program, target, (port, host, dir) => ({
    args: (file) => ['-p', dir, '-e', join(dir, 'error.log'), '-c', file],
    config: nginxOf(
      dir,
      `server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://${host};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }`,
    ),
  }));

/**
 * A balancer over several connectors on loopback. HAProxy asks /readyz; the NGINX that is free notices only that nobody
 * listens any more, and tries the next one. `reuse`: whether HAProxy keeps connections to them.
 */
export const startBalancer = (
  name: 'HAProxy' | 'NGINX',
  program: string,
  ports: readonly number[],
  reuse = true,
): Promise<ReverseProxy> =>
  start(program, `http://127.0.0.1:${ports[0]}`, (port, _host, dir) =>
    name === 'HAProxy'
      ? {
          args: (file) => ['-db', '-f', file],
          config: `defaults
  mode http
  option forwardfor
  option redispatch
${reuse ? '' : '  option http-server-close\n'}  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 500ms fall 1 rise 1
${ports
  .map(
    (each) => `  server s${each} 127.0.0.1:${each}
`,
  )
  .join('')}`,
        }
      : {
          args: (file) => ['-p', dir, '-e', join(dir, 'error.log'), '-c', file],
          config: nginxOf(
            dir,
            `upstream out {
${ports
  .map(
    (each) => `    server 127.0.0.1:${each} max_fails=1 fail_timeout=1s;
`,
  )
  .join('')}  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://out;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host sallyport.example;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }`,
          ),
        },
  );

/** A configuration of NGINX that writes nothing outside a folder. */
const nginxOf = (dir: string, servers: string): string => `daemon off;
master_process off;
pid ${join(dir, 'pid')};
events {}
http {
  access_log off;
  client_body_temp_path ${join(dir, 'body')};
  proxy_temp_path ${join(dir, 'proxy')};
  fastcgi_temp_path ${join(dir, 'fastcgi')};
  uwsgi_temp_path ${join(dir, 'uwsgi')};
  scgi_temp_path ${join(dir, 'scgi')};
  ${servers}
}
`;

async function start(
  program: string,
  target: string,
  how: (port: number, host: string, dir: string) => { args: (file: string) => string[]; config: string },
): Promise<ReverseProxy> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-proxy-'));
  const port = await freePort();
  const { args, config } = how(port, new URL(target).host, dir);
  const file = join(dir, 'proxy.conf');
  writeFileSync(file, config);
  const child: ChildProcess = endWithParent(spawn(program, args(file), { stdio: ['ignore', 'ignore', 'pipe'] }));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`);
    return reachable(port);
  }, `${program} to listen`);
  return {
    port,
    url: `http://127.0.0.1:${port}/mcp`,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const reachable = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

// What some tests need besides Node, found once for all of them. Under CI=true a missing part fails
// the run; elsewhere its tests are left out, and the reporter says so at the end.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { findOpa, type Opa } from '../../src/policy/opa.ts';
import { onPath } from './on-path.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    opa: Opa | null;
    inspector: string | null;
    redis: string | null;
    openssl: string | null;
    haproxy: string | null;
    nginx: string | null;
    logrotate: string | null;
    jq: string | null;
    rsyslog: string | null;
    github: string | null;
  }
}

const HOW = {
  OPA: 'install Go, or put opa on PATH, or set $OPA',
  Linux: 'the full-disk test writes to /dev/full, the test of signals below npm needs a POSIX shell',
  Redis: 'install the package redis-server (or valkey), or put redis-server on PATH; stores and replicas need it',
  HAProxy: 'install the package haproxy; the address of a client is found behind it',
  NGINX: 'install the package nginx; the same',
  logrotate: 'install the package logrotate; logs are rotated by it',
  jq: 'install the package jq; logs are verified with it and openssl alone',
  rsyslog: 'install the packages rsyslog and rsyslog-openssl; alerts are sent to it',
  openssl: 'install the package openssl; client certificates are made with it',
  "GitHub's OpenAPI document": 'run: npm ci --prefix tools/openapi',
  'MCP Inspector': 'run: npm ci --prefix tools/inspector',
};

export default async function setup({ provide }: TestProject): Promise<void> {
  // The fast tests use only what is already installed and build nothing.
  const fast = process.env.SALLYPORT_TESTS === 'fast';
  const opa = fast ? null : ((await findOpa({ progress: (line) => console.error(line) })) ?? null);
  const cli = join(PACKAGE_ROOT, 'tools/inspector/node_modules/@modelcontextprotocol/inspector/cli/build/cli.js');
  const inspector = existsSync(cli) ? cli : null;
  const document = join(PACKAGE_ROOT, 'tools/openapi/node_modules/@octokit/openapi/generated/api.github.com.json');
  const github = existsSync(document) ? document : null;
  provide('opa', opa);
  provide('github', github);
  provide('inspector', inspector);

  const missing: (keyof typeof HOW)[] = [];
  if (opa === null && !fast) missing.push('OPA');
  const redis = onPath('redis-server') ?? onPath('valkey-server');
  provide('redis', redis);
  if (redis === null) missing.push('Redis');
  provide('openssl', onPath('openssl'));
  if (onPath('openssl') === null) missing.push('openssl');
  provide('haproxy', onPath('haproxy'));
  if (onPath('haproxy') === null) missing.push('HAProxy');
  provide('nginx', onPath('nginx'));
  if (onPath('nginx') === null) missing.push('NGINX');
  provide('logrotate', onPath('logrotate'));
  if (onPath('logrotate') === null) missing.push('logrotate');
  provide('jq', onPath('jq'));
  if (onPath('jq') === null) missing.push('jq');
  provide('rsyslog', onPath('rsyslogd'));
  if (onPath('rsyslogd') === null) missing.push('rsyslog');
  if (inspector === null && !fast) missing.push('MCP Inspector');
  if (github === null && !fast) missing.push("GitHub's OpenAPI document");
  if (process.platform !== 'linux') missing.push('Linux');
  if (missing.length > 0 && process.env.CI === 'true') {
    throw new Error(`CI must run every test; missing: ${missing.map((name) => `${name} (${HOW[name]})`).join('; ')}`);
  }
  if (fast) process.stderr.write('The fast tests; what needs OPA, replicas or seconds is left to npm test.\n');
  process.env.SALLYPORT_TESTS_MISSING = missing.map((name) => `${name}: ${HOW[name]}`).join('\n');
}
